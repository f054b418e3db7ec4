"""The pictures of a run's progress: its prompts, drawn from the weights as they stand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from textdiff.data.grid import labelled_grid, to_pil
from textdiff.files import replacing
from textdiff.pipeline import TextToImage
from textdiff.pipeline.config import SamplingConfig
from textdiff.training.timeline import add_to_timeline
from textdiff.types import Features

COLUMNS = 8


def draw_samples(
    pipe: TextToImage,
    prompts: Sequence[str],
    config: SamplingConfig,
    folder: Path,
    step: int,
    image: Features | None = None,
) -> None:
    """Writes a labelled grid of `prompts` into `folder` if there are any, always of the same noise,
    and adds it to the timeline there.

    Without CUDA graphs, whose memory training would lack from then on.

    Args:
        image: (n, E) embeddings of a picture for each prompt, where `pipe` is a decoder.
    """
    if not prompts:
        return
    plain = config.model_copy(update={"graphs": False})
    images = to_pil(pipe.draw(pipe.plan(prompts, plain, image=image)))
    grid = labelled_grid(images, prompts, columns=min(COLUMNS, len(images)))
    with replacing(folder / f"step-{step:06d}.png") as temporary:
        grid.save(temporary)
    add_to_timeline(folder, step, images, prompts)
