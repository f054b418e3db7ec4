"""A request drawn, with what the pictures will be shown while they are drawn.

    DrawRequest ── plan, checked once ──► steps ── a few times a second ──► Preview(x_0_hat) ...
                                               ── at the end ─────────────► Drawn(pictures, origins)

The pictures are those of `textdiff sample` with the same settings, to the bit, and so are the PNGs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from textdiff.app.jobs import Transient
from textdiff.errors import UsageError

if TYPE_CHECKING:
    from PIL.Image import Image

    from textdiff.app.models import Loaded
    from textdiff.app.request import DrawRequest
    from textdiff.pipeline.origin import Origin

SECONDS_BETWEEN_PREVIEWS = 0.2
PREVIEW_SHARE = 0.1  # of the time, at most: a decoder of latents may take as long as a step


@dataclass(frozen=True)
class Preview(Transient):
    """A request under way.

    done, total: denoising steps of the whole request.
    first: which of its pictures the first of `pictures` is; a large request is drawn in batches.
    pictures: what the model takes them to be now, x_0_hat.
    """

    done: int
    total: int
    first: int
    pictures: tuple[Image, ...]


@dataclass(frozen=True)
class Drawn:
    """A request done.

    origins: how each picture was drawn, as its PNG keeps it.
    seconds: that it took, without the time in the queue.
    ids: of the pictures in the gallery, where they were put into it.
    """

    pictures: tuple[Image, ...]
    origins: tuple[Origin, ...]
    seconds: float
    ids: tuple[str, ...] = ()


def draw(
    request: DrawRequest,
    loaded: Loaded,
    files: Mapping[str, Path],
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Preview | Drawn | None]:
    """Draws a checked request; yields after every step, None where there is nothing to show.

    files: by key of the request, the pictures that it was made from.

    Raises:
        UsageError: settings that the model cannot follow, or more pictures than the device's memory
            holds. BadImage, CheckpointError: as `TextToImage.plan_from`.
    """
    import torch

    from textdiff.data import to_pil
    from textdiff.pipeline.origin import READERS, Origin, file_sha256
    from textdiff.threads import threads_on

    pipe, start = loaded.pipe, clock()
    opened = {name: READERS[name](name, path) for name, path in files.items()}
    plan = pipe.plan_from(request.prompts, request, first=request.first, **opened)
    finished: list[Image] = []
    shown, pause = start, 0.0
    try:
        for step in pipe.steps(plan):
            if step.index == 0:
                finished += to_pil(pipe.pictures(plan, step.x_t))
            now = clock()
            if now - shown < pause:
                yield None
                continue
            previews = to_pil(pipe.codec.preview(step.x_0_hat))
            shown = clock()
            pause = max(SECONDS_BETWEEN_PREVIEWS, (shown - now) / PREVIEW_SHARE)
            yield Preview(step.done, plan.num_steps, step.rows.start, tuple(previews))
    except torch.OutOfMemoryError:
        raise UsageError(
            f"no memory for {len(plan.prompts)} pictures at once; ask for fewer, or for a smaller "
            "batch_size"
        ) from None
    origins = Origin.of_rows(
        plan,
        range(len(plan.prompts)),
        model=loaded.protocol,
        pictures={name: (str(path), file_sha256(path)) for name, path in files.items()},
        threads=threads_on(str(pipe.device)),
    )
    yield Drawn(tuple(finished), tuple(origins), clock() - start)
