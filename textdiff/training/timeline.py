"""How the pictures of a run came to be: a strip per prompt, a column per evaluation.

samples/timeline/step-000500.png   see `data.timeline_columns`
samples/timeline.png               these as strips: written anew from those files, so that a resumed
                                   run has the same
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from textdiff.data.grid import labelled_grid, stacked
from textdiff.data.timeline_columns import (
    column_files,
    evenly_spaced,
    read_column,
    write_column,
)
from textdiff.files import replacing

COLUMNS = 12  # at most; of more, evenly spaced ones and the last


def add_to_timeline(
    samples: Path, step: int, images: Sequence[Image.Image], prompts: Sequence[str]
) -> None:
    """Adds the pictures of `step`. Those of later steps, which a run had before it was killed and
    resumed, are dropped, and those of other prompts left out.

    Args:
        samples: folder of the run.
        images: one per prompt, all of one size.
    """
    folder = samples / "timeline"
    for later, file in column_files(folder):
        if later > step:
            file.unlink()
    write_column(folder / f"step-{step:06d}.png", images, prompts)
    columns = [
        (at, column.pictures)
        for at, file in column_files(folder)
        if (column := read_column(file)) and column.prompts == list(prompts)
    ]
    shown = evenly_spaced(columns, COLUMNS)
    labels = [f"step {at:,}" for at, _ in shown]
    strips = [
        labelled_grid([pictures[row] for _, pictures in shown], labels, len(shown), prompt)
        for row, prompt in enumerate(prompts)
    ]
    with replacing(samples / "timeline.png") as temporary:
        stacked(strips).save(temporary)
