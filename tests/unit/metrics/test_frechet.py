"""Frechet distance: exact cases, an interval of its spread, sets that are too small for it."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from textdiff.metrics import frechet_distance, frechet_estimate
from textdiff.metrics.bootstrap import resample


def sets(n: int, m: int, dim: int = 6, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Of Gaussians with other means and covariances."""
    rng = torch.Generator().manual_seed(seed)
    x, y = (torch.randn(rows, dim, generator=rng, dtype=torch.float64) for rows in (n, m))
    return x @ torch.linspace(0.3, 1.5, dim).double().diag() + 0.3, y


@given(seed=st.integers(0, 1000), n=st.integers(2, 9), dim=st.integers(1, 6))
def test_distance_of_a_shift_is_its_square(seed, n, dim):
    rng = torch.Generator().manual_seed(seed)
    x = torch.randn(n, dim, generator=rng, dtype=torch.float64)
    shift = torch.randn(dim, generator=rng, dtype=torch.float64)
    assert frechet_distance(x, x + shift) == pytest.approx(shift.square().sum().item(), abs=1e-6)


def test_distance_of_independent_features_is_that_of_means_and_deviations():
    x, y = (torch.tensor([[0.0, 0], [2, 0], [0, 2], [2, 2]]) * scale for scale in (1, 3))
    deviation = (4 / 3) ** 0.5  # of each feature of x, three times that of y
    expected = 2 * (3 - 1) ** 2 + 2 * (3 * deviation - deviation) ** 2
    assert frechet_distance(x, y) == pytest.approx(expected)


def test_many_rows_are_those_of_one_pass():
    """More than one tile, whose last is smaller."""
    x, y = sets(2500, 1100)
    of_x, of_y = torch.cov(x.T), torch.cov(y.T)
    cross = torch.linalg.eigvals(of_x @ of_y).sqrt().real.sum()
    expected = (x.mean(0) - y.mean(0)).square().sum() + of_x.trace() + of_y.trace() - 2 * cross
    assert frechet_distance(x, y) == pytest.approx(expected.item(), rel=1e-10)


@pytest.mark.parametrize("group", [1, 4])
def test_spread_is_that_of_whole_resamples(group):
    """Groups of four share most of their features. To a tenth: B = 400 gives it to 4%."""
    x, y = sets(800, 900)
    if group > 1:
        x = x[: 800 // group].repeat_interleave(group, dim=0) + 0.1 * x
    drawn = resample(800 // group, 400, ("a",))
    real = resample(900, 400, ("b",))
    groups = torch.arange(800).view(-1, group)
    values = torch.tensor(
        [frechet_distance(x[groups[a].flatten()], y[b]) for a, b in zip(drawn, real, strict=True)]
    )
    found = frechet_estimate(x, y, group)
    assert found.value == frechet_distance(x, y)
    assert found.std_error == pytest.approx(values.std().item(), rel=0.1)
    assert found.low < found.value < found.high


def test_spread_of_fewer_rows_than_features_is_finite():
    x, y = sets(5, 4, dim=12)
    found = frechet_estimate(x, y, resamples=50)
    assert found.low < found.high
    assert torch.tensor([found.low, found.high, found.std_error]).isfinite().all()


def test_rows_that_are_not_whole_groups_are_refused():
    with pytest.raises(ValueError, match="7 rows in groups of 3"):
        frechet_estimate(torch.rand(7, 3), torch.rand(4, 3), 3)
