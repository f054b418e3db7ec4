"""KID of pairs against the sum written out, and where pairs are nothing special."""

from __future__ import annotations

import pytest
import torch

from textdiff.errors import DataError
from textdiff.metrics.kernel_distance import kid
from textdiff.metrics.paired_kernel import paired_kid_estimate


def features(count: int, seed: int, shift: float = 0.0) -> torch.Tensor:
    return torch.randn(count, 6, generator=torch.Generator().manual_seed(seed)) + shift


def test_it_is_the_sum_over_different_pairs():
    x, y = features(7, 0), features(7, 1, shift=0.3)

    def k(a, b):
        return (a.double() @ b.double() / 6 + 1) ** 3

    terms = [
        k(x[i], x[j]) + k(y[i], y[j]) - k(x[i], y[j]) - k(y[i], x[j])
        for i in range(7)
        for j in range(7)
        if i != j
    ]
    want = torch.stack(terms).mean().item()
    assert paired_kid_estimate(x, y).value == pytest.approx(want)


def test_of_sets_that_are_no_pairs_it_is_kid():
    x, y = features(400, 0), features(400, 1, shift=0.5)
    assert paired_kid_estimate(x, y, resamples=10).value == pytest.approx(kid(x, y), rel=0.02)


def test_equal_pairs_are_at_0_and_kid_is_below():
    x = features(50, 0)
    found = paired_kid_estimate(x, x)
    assert (found.value, found.low, found.high) == pytest.approx((0, 0, 0), abs=1e-12)
    assert kid(x, x) < -0.01


def test_the_interval_holds_the_distance_as_often_as_it_says():
    """Pairs of a known distance: 200 pictures of 20,000, and what all of them give."""
    x = features(8000, 0)
    y = x + 0.5 * features(8000, 1) + 0.1
    truth = paired_kid_estimate(x, y, resamples=2).value
    held = 0
    for k in range(40):
        rows = slice(200 * k, 200 * k + 200)
        found = paired_kid_estimate(x[rows], y[rows], resamples=200)
        held += found.low <= truth <= found.high
    assert held >= 33


def test_too_few_pairs():
    with pytest.raises(DataError):
        paired_kid_estimate(features(1, 0), features(1, 1))
