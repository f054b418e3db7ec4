"""Pictures, their noise and their reconstructions on one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from textdiff.data import labelled_grid, to_pil
from textdiff.evaluation.inversion.measure import Inversion, rmse_of
from textdiff.evaluation.pictures import PromptedPictures
from textdiff.files import replacing
from textdiff.pictures import PictureCodec, to_uint8

NOISE_RANGE = 3.0  # standard deviations shown as black to white


def save_sheet(
    path: str | Path,
    codec: PictureCodec,
    pictures: PromptedPictures,
    inversions: Sequence[Inversion],
    count: int,
) -> None:
    """A row for each of the first `count` pictures: the original, then noise and reconstruction
    for each number of steps."""
    cells, labels = [], []
    for k in range(min(count, len(pictures))):
        row = slice(k, k + 1)
        cells += to_pil(pictures.images[row])
        labels.append(pictures.prompts[k])
        for inversion in inversions:
            rmse = rmse_of(pictures.images[row], inversion.again[row]).item()
            cells += to_pil(codec.decode(inversion.noise[row] / NOISE_RANGE))
            cells += to_pil(to_uint8(inversion.again[row]))
            labels += [f"noise, {inversion.num_steps} steps", f"back, RMSE {rmse:.1f}"]
    with replacing(path) as temporary:
        sheet = labelled_grid(cells, labels, columns=1 + 2 * len(inversions))
        sheet.save(temporary, format="PNG")
