"""The picture of a run's progress: its prompts, drawn from the weights as they stand."""

from __future__ import annotations

from pathlib import Path

import torch

from textdiff.data.grid import labelled_grid, to_pil
from textdiff.files import replacing
from textdiff.pipeline import TextToImage
from textdiff.pipeline.config import SamplingConfig


def draw_samples(
    pipe: TextToImage, prompts: list[str], preview: SamplingConfig, path: Path
) -> None:
    """Writes a labelled grid of `prompts`; always the same noise."""
    finished = [images for _, images in pipe.images(prompts, preview)]
    images = torch.cat([images for images in finished if len(images)])
    grid = labelled_grid(to_pil(images), prompts, columns=min(8, len(images)))
    with replacing(path) as temporary:
        grid.save(temporary)
