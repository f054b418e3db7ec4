"""The picture of a run's progress: its prompts, drawn from the weights as they stand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from textdiff.data.grid import labelled_grid, to_pil
from textdiff.files import replacing
from textdiff.pipeline import TextToImage
from textdiff.pipeline.config import SamplingConfig

COLUMNS = 8


def draw_samples(
    pipe: TextToImage, prompts: Sequence[str], config: SamplingConfig, file: Path
) -> None:
    """Writes a labelled grid of `prompts` if there are any; always the same noise.

    Without CUDA graphs, whose memory training would lack from then on.
    """
    if not prompts:
        return
    plain = config.model_copy(update={"graphs": False})
    images = pipe.draw(pipe.plan(prompts, plain))
    grid = labelled_grid(to_pil(images), prompts, columns=min(COLUMNS, len(images)))
    with replacing(file) as temporary:
        grid.save(temporary)
