"""Values of single items in files of numbers, so that two files can be compared in pairs.

    {"items": ["red apple", "blue kite"], "item": [0, 0, 1, 1], "values": {"score": [25.1, ...]}}

An item is what two evaluations have in common and is drawn again by the bootstrap: a prompt, or a
picture of a split. It is found in another file by its name, never by its place.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from jaxtyping import Shaped
from torch import Tensor

from textdiff.evaluation.results import OMIT_NONE

DIGITS = 9  # what float32 holds


@dataclass(frozen=True)
class PerItem:
    """items: (m,) names, no two alike: prompts, files, or positions in the split, 0 the first.
    values: by name, (n,) each; None: not a number, or does not apply.
    item: (n,) which item each value is of; None: one value each, n = m.
    """

    items: list[str]
    values: dict[str, list[float | None]]
    item: Annotated[list[int] | None, OMIT_NONE] = None

    def __post_init__(self) -> None:
        """Raises ValueError: numbers of values or of items that do not fit together."""
        numbers = range(len(self.items)) if self.item is None else self.item
        if any(len(values) != len(numbers) for values in self.values.values()):
            raise ValueError("there are not as many values as items")
        if len(set(self.items)) < len(self.items):
            raise ValueError("an item is there twice")
        if any(not 0 <= number < len(self.items) for number in numbers):
            raise ValueError("a value is of an item that is not there")

    @property
    def owners(self) -> list[str]:
        """(n,) the name of the item of each value."""
        return self.items if self.item is None else [self.items[number] for number in self.item]


def values_by_item(owners: Sequence[str], values: Mapping[str, Shaped[Tensor, " n"]]) -> PerItem:
    """owners: (n,) the name of the item of each value; equal ones are one item. values: not finite
    where one does not apply."""
    number = {owner: k for k, owner in enumerate(dict.fromkeys(owners))}
    return PerItem(
        items=list(number),
        values={name: to_plain(each) for name, each in values.items()},
        item=[number[owner] for owner in owners] if len(number) < len(owners) else None,
    )


def to_plain(values: Shaped[Tensor, " n"]) -> list[float | None]:
    """Whole numbers as they are, bools as 0 and 1, others to `DIGITS`; None: not finite."""
    if not values.is_floating_point():
        return [int(value) for value in values.tolist()]
    return [float(f"{v:.{DIGITS}g}") if math.isfinite(v) else None for v in values.tolist()]
