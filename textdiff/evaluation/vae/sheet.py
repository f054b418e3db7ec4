"""Originals above their reconstructions."""

from __future__ import annotations

from pathlib import Path

from textdiff.data.grid import labelled_grid, to_pil
from textdiff.evaluation.vae.measure import Reconstructed
from textdiff.files import replacing

COLUMNS = 8


def save_sheet(path: str | Path, done: Reconstructed, count: int) -> None:
    """The first `count` pictures, with their captions or names; below each, what became of it."""
    cells, labels = [], []
    count = min(count, len(done))
    for start in range(0, count, COLUMNS):
        rows = slice(start, min(start + COLUMNS, count))
        width = rows.stop - rows.start
        missing = min(COLUMNS, count) - width  # of the last row, which is filled with white
        pictures, again = done.pictures[rows], done.again[rows]
        white = pictures.new_full((missing, *pictures.shape[1:]), 255)
        named = [
            next(filter(None, captions), name)
            for name, captions in zip(done.names[rows], done.captions[rows], strict=True)
        ]
        for images, words in (
            (pictures, named),
            (again, [f"{each:.1f} dB" for each in done.psnr[rows].tolist()]),
        ):
            cells += [*to_pil(images), *(to_pil(white) if missing else [])]
            labels += [*words, *[""] * missing]
    with replacing(path) as temporary:
        labelled_grid(cells, labels, min(COLUMNS, count)).save(temporary, format="PNG")
    print(f"originals above reconstructions: {path}")
