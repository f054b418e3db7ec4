"""Drawn pictures above the training pictures that are most like them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from textdiff.data import CaptionedImages, labelled_grid, to_pil
from textdiff.data.grid import stacked
from textdiff.evaluation.features.feature_set import FeatureSet
from textdiff.files import replacing
from textdiff.metrics.copying import Nearest
from textdiff.types import Pictures

COLUMNS = 8


def save_nearest(
    path: str | Path,
    nearest: Nearest,
    *,
    show: Callable[[Sequence[int]], Pictures],
    prompts: Sequence[str],
    training: CaptionedImages,
    known: FeatureSet,
    count: int,
) -> None:
    """The `count` drawn pictures that are nearest to a training picture, the nearest first; each
    above that picture with its caption and the cosine. Says where.

    Args:
        show: drawn pictures (n, 3, S, S) by their numbers.
        known: features of `training`, whose rows `nearest` numbers.
    """
    first = nearest.similarity.argsort(descending=True, stable=True)[:count].tolist()
    rows = []
    for start in range(0, len(first), COLUMNS):
        shown = first[start : start + COLUMNS]
        found = [int(nearest.index[k]) for k in shown]
        above = to_pil(show(shown))
        below = to_pil(torch.stack([training.image(known.positions[row]) for row in found]))
        labels = [f"drawn: {prompts[k]}" for k in shown]
        labels += [
            f"{nearest.similarity[k]:.3f} trained on: {' '.join(known.captions[row][:1])}"
            for k, row in zip(shown, found, strict=True)
        ]
        rows.append(labelled_grid(above + below, labels, columns=len(shown)))
    with replacing(path) as temporary:
        stacked(rows).save(temporary, format="PNG")
    print(f"pictures beside their nearest training pictures: {path}")
