"""The picture of a run's progress: its prompts, drawn from the weights as they stand."""

from __future__ import annotations

from textdiff.data.grid import labelled_grid, to_pil
from textdiff.files import replacing
from textdiff.pipeline import TextToImage
from textdiff.pipeline.config import SamplingConfig
from textdiff.training.run_folder import RunFolder


def draw_samples(
    pipe: TextToImage, prompts: list[str], preview: SamplingConfig, run: RunFolder, step: int
) -> None:
    """Writes a labelled grid of `prompts` if there are any; always the same noise."""
    if not prompts:
        return
    images = pipe.draw(pipe.plan(prompts, preview))
    grid = labelled_grid(to_pil(images), prompts, columns=min(8, len(images)))
    with replacing(run.path / "samples" / f"step-{step:06d}.png") as temporary:
        grid.save(temporary)
