"""Items matched by name, whatever their order and number."""

from __future__ import annotations

import pytest
import torch

from textdiff.evaluation.compare.kinds import Quantity
from textdiff.evaluation.compare.pairs import means_of, pair
from textdiff.evaluation.per_item import PerItem, values_by_item
from textdiff.metrics.zero_shot import class_accuracies


def scores(**by_name: float) -> PerItem:
    return values_by_item(list(by_name), {"score": torch.tensor(list(by_name.values()))})


def test_by_name_and_not_by_place():
    pairs = pair(scores(a=1.0, b=2.0, c=3.0), scores(d=9.0, c=30.0, a=10.0), "score")
    assert pairs.items == ["a", "c"]
    assert pairs.a.values.tolist() == [1, 3]
    assert pairs.b.values.tolist() == [10, 30]
    assert pairs.left_out == 2
    assert means_of(pairs, Quantity("score")).difference.value == pytest.approx(18)


def test_nothing_in_common():
    assert pair(scores(a=1.0), scores(b=1.0), "score") is None


def test_items_without_the_value_are_left_out():
    one = PerItem(["a", "b"], {"x": [1, None]})
    pairs = pair(one, PerItem(["a", "b"], {"x": [2, 2]}), "x")
    assert (pairs.items, pairs.left_out) == (["a"], 1)


def test_several_pictures_of_a_prompt_on_one_side():
    one = PerItem(["a", "b"], {"x": [1, 5, 3]}, [0, 1, 0])
    pairs = pair(one, PerItem(["b", "a"], {"x": [7, 4]}), "x")
    assert pairs.a.values.tolist() == [1, 3, 5]
    assert pairs.a.item.tolist() == [0, 0, 1]
    means = means_of(pairs, Quantity("x"))
    assert (means.a.value, means.b.value) == pytest.approx((3, 5.5))


def test_ranks_become_rates():
    one, other = (PerItem(["a", "b", "c", "d"], {"rank": r}) for r in ([1, 2, 6, 9], [1, 1, 5, 9]))
    pairs = pair(one, other, "rank")
    at_1, at_5 = (means_of(pairs, Quantity("", at_most=k)) for k in (1, 5))
    assert (at_1.a.value, at_1.b.value, at_1.difference.value) == (0.25, 0.5, 0.25)
    assert (at_5.a.value, at_5.b.value, at_5.difference.value) == (0.5, 0.75, 0.25)


def test_mean_over_classes():
    """Of one picture of a class and three of another, as zero-shot accuracy has it."""
    names, classes = list("abcd"), [0, 1, 1, 1]
    one, other = (
        PerItem(names, {"rank": r, "class": classes}) for r in ([2, 1, 1, 2], [1, 1, 2, 2])
    )
    found = means_of(pair(one, other, "rank", "class"), Quantity("", at_most=1, strata="class"))
    hits = torch.tensor([False, True, True, False])
    assert found.a == class_accuracies(hits, torch.tensor(classes)).mean
    assert found.difference.value == pytest.approx((1 + 1 / 3) / 2 - (0 + 2 / 3) / 2)
    assert found.difference.low <= found.difference.value <= found.difference.high
