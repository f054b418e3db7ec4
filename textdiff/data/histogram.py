"""How many values lie in each of some ranges that follow each other.

whole numbers from 1 on    1, 2, 3, 4 to 5, 6 to 7, 8 to 10, 11 to 15, ...     two a doubling
ratios from 1 on           1 to 1.1, 1.1 to 1.5, ...                           by given ends
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

STEPS = 2  # ranges a doubling


@dataclass(frozen=True)
class Range:
    """low <= value < high; high None: and all above. count: of the values there."""

    low: float
    high: float | None
    count: int


def histogram(values: Sequence[float], starts: Sequence[float]) -> list[Range]:
    """starts: of the ranges, rising, the first no higher than any value; the last is open. Ranges
    before the first value and after the last one are left out. Empty of no values."""
    counts = Counter(bisect_right(starts, value) - 1 for value in values)
    if not counts:
        return []
    ends = [*starts[1:], None]
    filled = range(min(counts), max(counts) + 1)
    return [Range(starts[k], ends[k], counts[k]) for k in filled]


def by_doubling(values: Sequence[int]) -> list[Range]:
    """Of whole numbers from 1 on, in ranges that each are about 1.4 times the one before."""
    exponents = range(STEPS * max(values, default=1).bit_length() + 1)
    starts = dict.fromkeys(round(2 ** (k / STEPS)) for k in exponents)
    return histogram(values, list(starts))
