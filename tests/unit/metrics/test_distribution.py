"""Frechet distance, KID and CMMD: golden numbers, and what must hold for any features."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.golden import golden
from textdiff.metrics import cmmd, frechet_distance, kid
from textdiff.metrics.distribution import kid_of_resamples

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


def test_golden_kid_of_a_set_with_itself():
    x = torch.tensor(CASES["kid"]["inputs"]["x"]).double()
    assert kid(x, x) == pytest.approx(CASES["kid"]["outputs"]["kid_unbiased_same_set"], rel=1e-7)


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


@given(pair=pairs())
def test_frechet_distance_of_a_shift_is_its_square(pair):
    x, _, rng = pair
    shift = torch.randn(x.shape[1], generator=rng, dtype=torch.float64)
    expected = shift.square().sum().item()
    assert frechet_distance(x, x + shift) == pytest.approx(expected, abs=1e-6)


def test_cmmd_does_not_look_at_length():
    x, y = torch.rand(5, 3), torch.rand(4, 3)
    assert cmmd(x * 3, y) == pytest.approx(cmmd(x, y), abs=1e-4)


def test_kid_is_not_biased():
    """Over many pairs of sets from one distribution its mean is 0; the biased one's is not."""
    rng = torch.Generator().manual_seed(0)
    values = torch.tensor(
        [kid(*torch.randn(2, 8, 3, generator=rng)) for _ in range(1000)], dtype=torch.float64
    )
    assert abs(values.mean()) < 3 * values.std() / len(values) ** 0.5


@pytest.mark.parametrize("counted", [False, True], ids=["estimate", "resamples"])
def test_several_pictures_of_a_prompt_do_not_bias_it(counted):
    """16 prompts with 4 pictures each, 70% of the variance between prompts, from the distribution
    that the real pictures are of: over many such sets the mean is the true 0. Pairs of pictures of
    one prompt made it +0.2."""
    rng = torch.Generator().manual_seed(0)
    values = []
    for _ in range(1000):
        prompts = torch.randn(16, 3, generator=rng, dtype=torch.float64) * 0.7**0.5
        own = torch.randn(64, 3, generator=rng, dtype=torch.float64) * 0.3**0.5
        x = prompts.repeat_interleave(4, dim=0) + own
        y = torch.randn(64, 3, generator=rng, dtype=torch.float64)
        if counted:
            draws = [torch.randint(n, (1, n), generator=rng) for n in (16, 64)]
            counts = [
                torch.nn.functional.one_hot(draw, n).sum(dim=1)
                for draw, n in zip(draws, (16, 64), strict=True)
            ]
            values.append(kid_of_resamples(x, y, *counts, group=4).item())
        else:
            values.append(kid(x, y, 4))
    found = torch.tensor(values)
    assert abs(found.mean()) < 3 * found.std() / len(found) ** 0.5
    assert found.std() / len(found) ** 0.5 < 0.02


def test_rows_that_are_not_whole_groups_are_refused():
    with pytest.raises(ValueError, match="7 rows in groups of 3"):
        kid(torch.rand(7, 3), torch.rand(4, 3), 3)
    with pytest.raises(ValueError, match="two groups or more"):
        kid(torch.rand(4, 3), torch.rand(4, 3), 4)


def test_resamples_without_repeats_are_subsets():
    x, y = torch.randn(6, 3), torch.randn(5, 3)
    counts_x = torch.tensor([[1, 1, 0, 1, 0, 1], [1] * 6])
    counts_y = torch.tensor([[0, 1, 1, 1, 0], [1] * 5])
    expected = [kid(x[[0, 1, 3, 5]], y[[1, 2, 3]]), kid(x, y)]
    found = kid_of_resamples(x, y, counts_x, counts_y)
    assert found.tolist() == pytest.approx(expected)


def test_resamples_are_centred_on_the_estimate():
    """Pairs of a row with its own repeat would move them up."""
    rng = torch.Generator().manual_seed(1)
    x, y = torch.randn(12, 3, generator=rng), torch.randn(15, 3, generator=rng)
    draws = [torch.randint(n, (20000, n), generator=rng) for n in (12, 15)]
    counts = [torch.nn.functional.one_hot(draw).sum(dim=1) for draw in draws]
    values = kid_of_resamples(x, y, *counts)
    assert values.mean().item() == pytest.approx(kid(x, y), abs=0.05 * values.std().item())


def test_groups_drawn_once_are_all_their_rows():
    x, y = torch.randn(6, 3), torch.randn(5, 3)
    counts = torch.tensor([[1, 1, 1], [1, 0, 1]]), torch.ones(2, 5)
    expected = [kid(x, y, 2), kid(x[[0, 1, 4, 5]], y, 2)]
    assert kid_of_resamples(x, y, *counts, group=2).tolist() == pytest.approx(expected)


def test_resamples_of_groups_are_centred_on_the_estimate():
    """Pairs of a group with its own repeat would move them up, the more so as rows of a group are
    alike."""
    rng = torch.Generator().manual_seed(2)
    x = torch.randn(12, 3, generator=rng).repeat_interleave(3, dim=0)
    x, y = x + torch.randn(36, 3, generator=rng) / 9, torch.randn(15, 3, generator=rng)
    draws = [torch.randint(n, (20000, n), generator=rng) for n in (12, 15)]
    counts = [torch.nn.functional.one_hot(draw).sum(dim=1) for draw in draws]
    values = kid_of_resamples(x, y, *counts, group=3)
    assert values.mean().item() == pytest.approx(kid(x, y, 3), abs=0.05 * values.std().item())


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
    with pytest.raises(ValueError, match=complaint):
        metric(torch.ones(x), torch.ones(y))
