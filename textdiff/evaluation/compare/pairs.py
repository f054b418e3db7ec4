"""Values of the items that two files have in common, matched by name.

A: red apple 25.1, blue kite 22.0            red apple   25.1 and 24.8
B: red apple 24.8, green leaf 27.3     ──►   left out: blue kite, green leaf
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from textdiff.evaluation.compare.kinds import Quantity
from textdiff.evaluation.per_item import PerItem
from textdiff.metrics.paired import Clustered, PairedMeans, estimate_difference
from textdiff.metrics.zero_shot import class_accuracies


@dataclass(frozen=True)
class Pairs:
    """a, b: values of the same items. strata: group of each value of a; None: there are none.
    items: names in common. left_out: items of one alone."""

    a: Clustered
    b: Clustered
    strata: torch.Tensor | None
    items: list[str]
    left_out: int


def pair(a: PerItem, b: PerItem, value: str, strata: str | None = None) -> Pairs | None:
    """None: no item has the value on both sides."""
    one, other = names_with(a, value), names_with(b, value)
    common = [name for name in a.items if name in one and name in other]
    if not common:
        return None
    number = {name: k for k, name in enumerate(common)}
    return Pairs(
        a=side(a, value, number),
        b=side(b, value, number),
        strata=side(a, strata, number).values.long() if strata else None,
        items=common,
        left_out=len(one ^ other),
    )


def names_with(items: PerItem, value: str) -> set[str]:
    """Items that have the value."""
    pairs = zip(items.owners, items.values[value], strict=True)
    return {name for name, each in pairs if each is not None}


def side(items: PerItem, value: str, number: dict[str, int]) -> Clustered:
    """number: of each item that is kept. Values are in the order of these."""
    pairs = zip(items.owners, items.values[value], strict=True)
    kept = sorted(
        (number[n], k, v) for k, (n, v) in enumerate(pairs) if n in number and v is not None
    )
    return Clustered(
        values=torch.tensor([each for _, _, each in kept], dtype=torch.float64),
        item=torch.tensor([owner for owner, _, _ in kept], dtype=torch.long),
    )


def means_of(pairs: Pairs, quantity: Quantity) -> PairedMeans:
    """Both means and their difference, over the items in common.

    Raises:
        ValueError: a mean over strata of items with several values.
    """
    a, b = (counted(each, quantity) for each in (pairs.a, pairs.b))
    if pairs.strata is None:
        return estimate_difference(a, b)
    if not torch.equal(a.item, b.item):
        raise ValueError("items with several values have no one stratum")
    sides = (a.values, b.values, b.values - a.values)  # all by the same resamples
    return PairedMeans(*(class_accuracies(each, pairs.strata).mean for each in sides))


def counted(values: Clustered, quantity: Quantity) -> Clustered:
    if quantity.at_most is None:
        return values
    return Clustered((values.values <= quantity.at_most).double(), values.item)
