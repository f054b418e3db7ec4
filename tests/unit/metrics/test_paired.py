"""Paired differences: by hand, on cases that are known, and as often right as they say."""

from __future__ import annotations

import pytest
import torch

from textdiff.metrics.bootstrap import RESAMPLES, estimate_mean, resample
from textdiff.metrics.paired import Clustered, estimate_difference


def single(values) -> Clustered:
    """A value per item."""
    return Clustered(torch.as_tensor(values), torch.arange(len(values)))


def normals(count: int, seed: int) -> torch.Tensor:
    return torch.randn(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_by_hand():
    a, b = normals(7, 0), normals(7, 1)
    found = estimate_difference(single(a), single(b))
    resampled = (b - a)[resample(7)].mean(dim=1)
    assert found.difference.value == pytest.approx((b - a).mean().item())
    assert found.difference.low == pytest.approx(resampled.quantile(0.025).item())
    assert found.difference.high == pytest.approx(resampled.quantile(0.975).item())
    assert found.difference.resamples == RESAMPLES
    for side, values in ((found.a, a), (found.b, b)):
        assert (side.value, side.low) == pytest.approx(
            (values.mean().item(), estimate_mean(values).low)
        )


def test_items_with_several_values_are_drawn_whole():
    """Item 0 has two values on one side and one on the other."""
    a = Clustered(torch.tensor([1.0, 3.0, 10.0]), torch.tensor([0, 0, 1]))
    b = Clustered(torch.tensor([5.0, 20.0]), torch.tensor([0, 1]))
    found = estimate_difference(a, b)
    assert found.a.value == pytest.approx(14 / 3)
    assert found.difference.value == pytest.approx(12.5 - 14 / 3)
    # resamples of two items are 00, 01, 10 and 11
    assert (found.difference.low, found.difference.high) == pytest.approx((5 - 2.0, 20 - 10.0))


def test_order_of_values_means_nothing():
    a, b, order = normals(9, 2), normals(9, 3), torch.randperm(9)
    shuffled = Clustered(b[order], order)
    one, other = (estimate_difference(single(a), each).difference for each in (single(b), shuffled))
    assert (one.value, one.low, one.high) == pytest.approx((other.value, other.low, other.high))


def test_a_constant_gain_is_certain():
    a = normals(40, 4)
    found = estimate_difference(single(a), single(a + 0.5)).difference
    assert (found.value, found.low, found.high) == pytest.approx((0.5, 0.5, 0.5))


def test_what_is_common_cancels():
    hard = 10 * normals(60, 5)
    found = estimate_difference(single(hard + normals(60, 6)), single(hard + normals(60, 7)))
    width = found.difference.high - found.difference.low
    assert width < 0.2 * (found.a.high - found.a.low)


def test_intervals_hold_what_they_promise():
    """The true difference, 0.3, is in 95% of them, up to chance and to the 60 pairs."""
    hits = 0
    for seed in range(150):
        common = normals(60, 3 * seed)
        a, b = common + normals(60, 3 * seed + 1), common + normals(60, 3 * seed + 2) + 0.3
        found = estimate_difference(single(a), single(b), resamples=100).difference
        hits += found.low <= 0.3 <= found.high
    assert 0.87 <= hits / 150 <= 0.985


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (([1.0], [0]), ([1.0, 2.0], [0, 1])),
        (([1.0, 1.0], [0, 2]), ([1.0, 2.0, 3.0], [0, 1, 2])),
        (([], []), ([], [])),
    ],
)
def test_items_of_one_side_alone_are_refused(a, b):
    sides = [Clustered(torch.tensor(v), torch.tensor(i, dtype=torch.long)) for v, i in (a, b)]
    with pytest.raises(ValueError, match="one side has no value of"):
        estimate_difference(*sides)
