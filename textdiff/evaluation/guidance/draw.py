"""Pictures of a sweep: the same prompts and noise at every setting, timed; and a sheet of them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from torch import Tensor

from textdiff.data import labelled_grid, to_pil
from textdiff.errors import UsageError
from textdiff.evaluation.guidance.table import best_of_each_kind
from textdiff.files import replacing

if TYPE_CHECKING:
    from textdiff.commands.guidance import GuidanceSettings
    from textdiff.evaluation.drawn import Judged
    from textdiff.pipeline import TextToImage
    from textdiff.pipeline.config import SamplingConfig

WARM_UP_STEPS = 2


@dataclass(frozen=True)
class Sweep:
    """Draws `per_prompt` pictures of each prompt, those of the first prompt first."""

    pipe: TextToImage
    prompts: list[str]
    per_prompt: int

    @property
    def wanted(self) -> list[str]:
        """A prompt per picture."""
        return [prompt for prompt in self.prompts for _ in range(self.per_prompt)]

    def draw(self, config: SamplingConfig, first: int | None = None) -> tuple[Tensor, float]:
        """Pictures (n, 3, S, S) uint8, all or the `first` ones, and seconds per picture.

        The clock runs while pictures are drawn; a few steps before it starts pay for what is done
        once, such as choosing kernels."""
        wanted = self.wanted[:first]
        plan = self.pipe.plan(wanted, config)
        for _ in itertools.islice(self.pipe.steps(plan), WARM_UP_STEPS):
            pass
        start = time.perf_counter()
        images = self.pipe.draw(plan, progress=True)  # bytes on the CPU: the device is done
        return images, (time.perf_counter() - start) / len(wanted)


def check_settings(pipe: TextToImage, prompts: list[str], settings: GuidanceSettings) -> None:
    """Before anything is drawn. Raises UsageError: fewer than two prompts, or a setting that the
    model cannot follow."""
    if len(prompts) < 2:
        raise UsageError(
            f"split {settings.split} of {settings.data.source} has {len(prompts)} caption that can "
            "be a prompt; among one there is nothing to choose, so give another --split"
        )
    for config in settings.sweep():
        pipe.plan(prompts, config)


def draw_grid(
    path: Path, sweep: Sweep, real: Judged, found: dict[str, Any], settings: GuidanceSettings
) -> None:
    """Real pictures, then a row for the best setting of each kind: the first pictures of each."""
    count, m = settings.grid_pictures, sweep.per_prompt
    labels = sweep.wanted[:count]
    rows = [("real pictures", real.images.repeat_interleave(m, dim=0)[:count])]
    for result in best_of_each_kind(found["settings"]).values():
        config = settings.with_scales(result["guidance_scale"], result["clip_guidance_scale"])
        images, _ = sweep.draw(config, first=count)
        rows.append((result["name"], images))
    sheets = [labelled_grid(to_pil(i), labels, len(i), title) for title, i in rows]
    with replacing(path) as temporary:
        stacked(sheets).save(temporary)
    print(f"pictures: {path}")


def stacked(sheets: Sequence[Image.Image]) -> Image.Image:
    """One below the other."""
    height = sum(sheet.height for sheet in sheets)
    whole = Image.new("RGB", (max(sheet.width for sheet in sheets), height), "white")
    top = 0
    for sheet in sheets:
        whole.paste(sheet, (0, top))
        top += sheet.height
    return whole
