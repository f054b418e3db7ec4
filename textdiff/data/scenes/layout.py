"""Where things stand: few sizes and places, all of which can be listed.

n things       sizes SIZES[n], or LARGE[n] alone (`placing` large); places of a box
               STEPS[n] x STEPS[n], evenly over the room it has:
               x = s / 2 + k (1 - s) / (STEPS[n] - 1)
apart          boxes leave at least GAP between them, so that they never touch
a left of b    every box of a ends GAP before one of b begins, and the middles of the groups
               differ at most half as much in y as in x; above: likewise in y
"""

from __future__ import annotations

import functools
import itertools

import numpy as np
from numpy.typing import NDArray

from textdiff.data.config import Placing
from textdiff.data.scenes.facts import Relation

SIZES: dict[int, tuple[float, ...]] = {1: (0.6, 0.75, 0.9), 2: (0.38, 0.46), 3: (0.32, 0.38)}
LARGE = {1: 15 / 16, 2: 0.46, 3: 0.38}  # one in 32 pixels has places a pixel apart
STEPS = {1: 3, 2: 5, 3: 5}
GAP = 1 / 16  # 1.5 pixels of 24: boxes rounded to pixels stay apart
SIGN: dict[Relation, int] = {"left of": 1, "right of": -1, "above": 1, "below": -1}
AXIS: dict[Relation, int] = {"left of": 0, "right of": 0, "above": 1, "below": 1}


def sizes_of(things: int, placing: Placing) -> tuple[float, ...]:
    """Sides that a box among `things` may have."""
    return SIZES[things] if placing == "free" else (LARGE[things],)


def places(size: float, things: int) -> NDArray[np.float64]:
    """(STEPS^2, 2): centres (x, y) of a box among `things`, row by row."""
    steps = STEPS[things]
    along = size / 2 + np.arange(steps) * (1 - size) / (steps - 1)
    return np.array([(x, y) for y in along for x in along])


@functools.lru_cache(maxsize=256)
def arrangements(
    counts: tuple[int, ...], sizes: tuple[float, ...], relation: Relation | None
) -> list[list[tuple[float, float]]]:
    """Every way to place one or two groups: the centre of each thing.

    Args:
        counts, sizes: of each group; the boxes of a group have one size. Their places rise row by
            row, so that equal things are placed once.
        relation: of the first group to the second.
    """
    total = sum(counts)
    centres = [places(size, total) for size in sizes]
    chosen = [
        np.array(list(itertools.combinations(range(len(group)), count)))
        for group, count in zip(centres, counts, strict=True)
    ]
    rows = np.indices([len(each) for each in chosen]).reshape(len(counts), -1)
    placed = np.concatenate(
        [group[each[row]] for group, each, row in zip(centres, chosen, rows, strict=True)], axis=1
    )
    side = np.repeat(sizes, counts)
    fits = np.ones(len(placed), bool)
    for i, j in itertools.combinations(range(total), 2):
        offset = np.abs(placed[:, i] - placed[:, j]).max(1)
        fits &= offset >= (side[i] + side[j]) / 2 + GAP - 1e-9
    if relation is not None:
        fits &= _related(placed, counts[0], side, relation)
    return [[(x, y) for x, y in each] for each in placed[fits].round(6).tolist()]


def _related(
    placed: NDArray[np.float64], first: int, side: NDArray[np.float64], relation: Relation
) -> NDArray[np.bool_]:
    axis, sign = AXIS[relation], SIGN[relation]
    along, half = sign * placed[..., axis], side / 2
    ends = (along + half)[:, :first].max(1)
    begins = (along - half)[:, first:].min(1)
    middle = placed[:, first:].mean(1) - placed[:, :first].mean(1)
    aside = np.abs(middle[:, 1 - axis]) <= np.abs(middle[:, axis]) / 2 + 1e-9
    related: NDArray[np.bool_] = (begins - ends >= GAP - 1e-9) & aside
    return related
