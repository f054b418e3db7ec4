"""Bootstrap intervals: golden resamples, captions that move with their image, coverage."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.golden import golden
from textdiff.metrics import bootstrap_interval, mean_over_images
from textdiff.metrics.bootstrap import percentile_interval

GOLDEN = golden("bootstrap")
MEAN, CLUSTERS = (GOLDEN["by_id"][name] for name in ("percentile_mean", "cluster_recall"))
TOLERANCE = {"rel": 1e-12, "abs": 1e-14}


def test_golden_interval_of_a_mean():
    statistic = mean_over_images(torch.tensor(MEAN["inputs"]["values"], dtype=torch.float64))
    draws = torch.tensor(MEAN["inputs"]["resample_indices"])
    resampled = torch.tensor([statistic(draw) for draw in draws], dtype=torch.float64)
    found = percentile_interval(statistic(torch.arange(8)), resampled, 0.95)
    for name in ("estimate", "low", "high", "std_error"):
        assert getattr(found, name) == pytest.approx(MEAN["outputs"][name], **TOLERANCE)
    assert resampled.tolist() == pytest.approx(MEAN["outputs"]["resampled_means"], **TOLERANCE)


def test_golden_captions_move_with_their_image():
    hits = torch.tensor(CLUSTERS["inputs"]["hits_per_image_caption"])
    owner = torch.arange(len(hits)).repeat_interleave(hits.shape[1])
    statistic = mean_over_images(hits.flatten(), owner)
    draws = torch.tensor(CLUSTERS["inputs"]["resample_image_indices"])
    resampled = torch.tensor([statistic(draw) for draw in draws], dtype=torch.float64)
    found = percentile_interval(statistic(torch.arange(5)), resampled, 0.9)
    for name in ("estimate", "low", "high"):
        assert getattr(found, name) == pytest.approx(CLUSTERS["outputs"][name], **TOLERANCE)
    assert resampled.tolist() == pytest.approx(CLUSTERS["outputs"]["resampled"], **TOLERANCE)


def test_images_with_more_captions_weigh_more():
    statistic = mean_over_images(torch.tensor([1.0, 1.0, 1.0, 0.0]), torch.tensor([0, 0, 0, 1]))
    assert statistic(torch.tensor([0, 1])) == pytest.approx(3 / 4)
    assert statistic(torch.tensor([1, 1])) == 0.0


def test_same_seed_same_interval():
    statistic = mean_over_images(torch.arange(10.0))
    first, same, other = (bootstrap_interval(statistic, 10, 50, seed=s) for s in (0, 0, 1))
    assert first == same
    assert (first.low, first.high) != (other.low, other.high)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=20))
def test_interval_stays_inside_the_values(values):
    statistic = mean_over_images(torch.tensor(values, dtype=torch.float64))
    found = bootstrap_interval(statistic, len(values), resamples=20)
    assert min(values) - 1e-9 <= found.low <= found.high <= max(values) + 1e-9


def test_standard_error_of_a_mean():
    """std_error estimates sqrt(population variance / n); B = 4000 gives it to about 1%."""
    values = torch.randn(200, generator=torch.Generator().manual_seed(0)).double()
    found = bootstrap_interval(mean_over_images(values), 200, resamples=4000)
    assert found.std_error == pytest.approx(values.std(correction=0).item() / 200**0.5, rel=0.05)


def test_any_statistic_of_the_drawn_images():
    values = torch.tensor([3.0, 1.0, 2.0])
    found = bootstrap_interval(lambda images: values[images].max().item(), 3, resamples=200)
    assert found.estimate == found.high == 3.0
    assert found.low == 1.0
