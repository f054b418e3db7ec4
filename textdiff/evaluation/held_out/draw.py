"""Pictures of a plan, timed; and a sheet of several sets of them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from tqdm import tqdm

from textdiff.cuda_graphs import PLAIN_CALLS
from textdiff.data import CaptionedImages, labelled_grid, stacked, to_pil
from textdiff.errors import UsageError
from textdiff.files import replacing
from textdiff.pipeline import TextToImage
from textdiff.pipeline.plan import DrawPlan
from textdiff.types import Pictures

WARM_UP_STEPS = PLAIN_CALLS + 1


def draw_timed(pipe: TextToImage, plan: DrawPlan, title: str = "") -> tuple[Pictures, float]:
    """The plan's pictures (n, 3, S, S), and seconds per picture; a progress bar says `title`.

    The clock runs while pictures are drawn; a few steps before it starts pay for what is done once,
    such as choosing kernels and recording them.
    """
    batches = []
    for _ in itertools.islice(pipe.steps(plan), WARM_UP_STEPS):
        pass
    with tqdm(total=plan.num_steps, desc=title, unit="step") as bar:
        start = time.perf_counter()
        for step in pipe.steps(plan):
            bar.update()
            if step.index == 0:
                batches.append(pipe.pictures(plan, step.x_t))
        seconds = time.perf_counter() - start  # bytes on the CPU: the device is done
    return torch.cat(batches), seconds / len(plan.prompts)


def write_sheet(path: str | Path, prompts: Sequence[str], rows: Mapping[str, Pictures]) -> None:
    """Labelled pictures, a row of each name: one of each prompt."""
    sheets = [labelled_grid(to_pil(r), prompts, len(prompts), name) for name, r in rows.items()]
    with replacing(path) as temporary:
        stacked(sheets).save(temporary)
    print(f"pictures: {path}")


def check_prompts(prompts: Sequence[str], data: CaptionedImages) -> None:
    """Raises UsageError: fewer than two prompts."""
    if len(prompts) < 2:
        raise UsageError(
            f"split {data.split} of {data.config.source} has {len(prompts)} caption that can "
            "be a prompt; among one there is nothing to choose, so give another --split"
        )


def repeat_each(prompts: Sequence[str], count: int) -> list[str]:
    """Each prompt `count` times in a row."""
    return [prompt for prompt in prompts for _ in range(count)]
