"""Frechet distance, KID and CMMD: golden numbers, and what must hold for any features."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.golden import golden
from textdiff.errors import DataError
from textdiff.metrics import cmmd, frechet_distance, kid

GOLDEN = golden("frechet_kid_cmmd")
CASES = GOLDEN["by_id"]
METRICS = {
    "frechet": (frechet_distance, "x", "frechet_distance"),
    "kid": (kid, "x", "kid_unbiased"),
    "cmmd": (cmmd, "x_raw", "cmmd_biased"),
}
EVERY = [frechet_distance, kid, cmmd]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", METRICS)
def test_golden(name, dtype):
    metric, first, output = METRICS[name]
    inputs, second = CASES[name]["inputs"], first.replace("x", "y")
    x, y = (torch.tensor(inputs[key], dtype=getattr(torch, dtype)) for key in (first, second))
    allowed = GOLDEN["tolerance"][dtype]
    expected = CASES[name]["outputs"][output]
    assert metric(x, y) == pytest.approx(expected, rel=allowed["rtol"], abs=allowed["atol"])


@st.composite
def pairs(draw):
    """Two sets of one width, and a generator."""
    rng = torch.Generator().manual_seed(draw(st.integers(0, 10**6)))
    rows, width = draw(st.tuples(st.integers(2, 9), st.integers(2, 9))), draw(st.integers(1, 6))
    x, y = (torch.randn(n, width, generator=rng, dtype=torch.float64) for n in rows)
    return x, y, rng


@pytest.mark.parametrize("metric", EVERY)
@given(pair=pairs())
def test_symmetric(metric, pair):
    x, y, _ = pair
    assert metric(x, y) == pytest.approx(metric(y, x), abs=1e-6)


@pytest.mark.parametrize("metric", EVERY)
@given(pair=pairs())
def test_order_does_not_matter(metric, pair):
    x, y, rng = pair
    shuffled = x[torch.randperm(len(x), generator=rng)]
    assert metric(shuffled, y) == pytest.approx(metric(x, y), abs=1e-6)


@pytest.mark.parametrize("metric", [frechet_distance, cmmd])
@given(pair=pairs())
def test_zero_between_equal_sets_and_never_below(metric, pair):
    x, y, _ = pair
    assert metric(x, x) == pytest.approx(0, abs=1e-6)
    assert metric(x, y) > -1e-6


class WithoutFloat64(torch.Tensor):
    """As on MPS."""

    def double(self):
        raise TypeError("this device has no float64")

    def cpu(self):
        return self.as_subclass(torch.Tensor)


@pytest.mark.parametrize("metric", EVERY)
def test_features_on_a_device_without_float64(metric):
    x, y = torch.rand(5, 3), torch.rand(4, 3)
    there = metric(x.as_subclass(WithoutFloat64), y.as_subclass(WithoutFloat64))
    assert there == metric(x, y)


@pytest.mark.usefixtures("shapes_not_checked")
@pytest.mark.parametrize(
    ("metric", "x", "y", "complaint"),
    [
        (frechet_distance, (1, 3), (4, 3), r"the first set of features is \(1, 3\); .* 2 or more"),
        (kid, (4, 3), (1, 3), r"the second set of features is \(1, 3\)"),
        (cmmd, (0, 3), (4, 3), r"the first set of features is \(0, 3\); .* 1 or more"),
        (frechet_distance, (4, 3), (4, 2), "width 3 and 2; give one width"),
        (kid, (4,), (4, 2), r"the first set of features is \(4,\)"),
    ],
)
def test_sets_that_cannot_be_compared(metric, x, y, complaint):
    with pytest.raises((DataError, ValueError), match=complaint):
        metric(torch.ones(x), torch.ones(y))


@pytest.mark.parametrize("metric", EVERY)
@pytest.mark.parametrize("spoilt", [float("nan"), float("inf")])
def test_what_is_not_finite_is_refused(metric, spoilt):
    x, y = torch.rand(5, 3), torch.rand(4, 3)
    y[2, 1] = spoilt
    with pytest.raises(DataError, match=r"1 rows of the second set .* the first is row 2"):
        metric(x, y)


def test_numbers_whose_sum_overflows_are_let_through():
    x, y = torch.full((4, 3), 6e4).half(), torch.rand(4, 3).half()
    assert frechet_distance(x, y) > 0
