"""Bootstrap intervals: golden resamples, captions that move with their image, coverage."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.golden import golden
from textdiff.metrics.bootstrap import (
    Estimate,
    count_draws,
    estimate,
    estimate_mean,
    estimate_means,
    estimate_statistic,
    mean_over_images,
    resample,
)

GOLDEN = golden("bootstrap")
MEAN, CLUSTERS = (GOLDEN["by_id"][name] for name in ("percentile_mean", "cluster_recall"))
TOLERANCE = {"rel": 1e-12, "abs": 1e-14}


def test_golden_interval_of_a_mean():
    statistic = mean_over_images(torch.tensor(MEAN["inputs"]["values"], dtype=torch.float64))
    draws = torch.tensor(MEAN["inputs"]["resample_indices"])
    resampled = torch.tensor([statistic(draw) for draw in draws], dtype=torch.float64)
    found = estimate(statistic(torch.arange(8)), resampled, 0.95)
    assert found.value == pytest.approx(MEAN["outputs"]["estimate"], **TOLERANCE)
    for name in ("low", "high", "std_error"):
        assert getattr(found, name) == pytest.approx(MEAN["outputs"][name], **TOLERANCE)
    assert resampled.tolist() == pytest.approx(MEAN["outputs"]["resampled_means"], **TOLERANCE)


def test_golden_captions_move_with_their_image():
    hits = torch.tensor(CLUSTERS["inputs"]["hits_per_image_caption"])
    owner = torch.arange(len(hits)).repeat_interleave(hits.shape[1])
    statistic = mean_over_images(hits.flatten(), owner)
    draws = torch.tensor(CLUSTERS["inputs"]["resample_image_indices"])
    resampled = torch.tensor([statistic(draw) for draw in draws], dtype=torch.float64)
    found = estimate(statistic(torch.arange(5)), resampled, 0.9)
    assert found.value == pytest.approx(CLUSTERS["outputs"]["estimate"], **TOLERANCE)
    for name in ("low", "high"):
        assert getattr(found, name) == pytest.approx(CLUSTERS["outputs"][name], **TOLERANCE)
    assert resampled.tolist() == pytest.approx(CLUSTERS["outputs"]["resampled"], **TOLERANCE)


def test_images_with_more_captions_weigh_more():
    statistic = mean_over_images(torch.tensor([1.0, 1.0, 1.0, 0.0]), torch.tensor([0, 0, 0, 1]))
    assert statistic(torch.tensor([0, 1])) == pytest.approx(3 / 4)
    assert statistic(torch.tensor([1, 1])) == 0.0


def test_same_seed_same_interval():
    statistic = mean_over_images(torch.arange(10.0))
    first, same, other = (
        estimate_statistic(statistic, 10, resamples=50, seed=s) for s in (0, 0, 1)
    )
    assert first == same
    assert (first.low, first.high) != (other.low, other.high)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=20))
def test_interval_stays_inside_the_values(values):
    statistic = mean_over_images(torch.tensor(values, dtype=torch.float64))
    found = estimate_statistic(statistic, len(values), resamples=20)
    assert min(values) - 1e-9 <= found.low <= found.high <= max(values) + 1e-9


def test_standard_error_of_a_mean():
    """std_error estimates sqrt(population variance / n); B = 4000 gives it to about 1%."""
    values = torch.randn(200, generator=torch.Generator().manual_seed(0)).double()
    found = estimate_statistic(mean_over_images(values), 200, resamples=4000)
    assert found.std_error == pytest.approx(values.std(correction=0).item() / 200**0.5, rel=0.05)


def test_any_statistic_of_the_drawn_images():
    values = torch.tensor([3.0, 1.0, 2.0])
    found = estimate_statistic(lambda images: values[images].max().item(), 3, resamples=200)
    assert found.value == found.high == 3.0
    assert found.low == 1.0


def test_estimate_of_a_mean_is_that_of_its_statistic():
    hits, owner = torch.tensor([True, False, True, True]), torch.tensor([0, 0, 1, 2])
    assert estimate_mean(hits, owner) == estimate_statistic(mean_over_images(hits, owner), 3)
    assert estimate_mean(hits) == estimate_statistic(mean_over_images(hits), 4)


def test_means_of_many_columns_are_over_the_same_resamples():
    values = torch.rand(30, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for column, found in zip(values.T, estimate_means(values), strict=True):
        expected = estimate_mean(column)
        for name in ("value", "low", "high", "std_error"):
            assert getattr(found, name) == pytest.approx(getattr(expected, name), **TOLERANCE)


def test_resamples_of_one_stream_are_the_same_and_of_two_differ():
    first, same, other = (resample(9, 20, stream) for stream in (("a", 1), ("a", 1), ("a", 2)))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert first.shape == (20, 9)
    assert (first.min(), first.max()) == (0, 8)


def test_counts_say_how_often_each_image_was_drawn():
    draws = torch.tensor([[0, 0, 2], [1, 2, 2]])
    assert count_draws(draws).tolist() == [[2, 0, 1], [0, 1, 2]]


def test_estimate_comes_back_from_json_without_its_standard_error():
    found = Estimate(0.5, 0.25, 0.75, 0.95, 1000, std_error=0.1)
    entry = {"mean": 0.5, "low": 0.25, "high": 0.75, "confidence": 0.95, "resamples": 1000}
    assert found.as_json() == entry
    assert Estimate.from_json(entry) == Estimate(0.5, 0.25, 0.75, 0.95, 1000)
