"""Bootstrap intervals: golden resamples, captions that move with their image, coverage."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.golden import golden
from textdiff.metrics import bootstrap
from textdiff.metrics.bootstrap import (
    Estimate,
    count_draws,
    estimate,
    estimate_mean,
    estimate_means,
    estimate_median,
    estimate_of_finite,
    means_of_draws,
    resample,
    resample_in_parts,
)

GOLDEN = golden("bootstrap")
MEAN, CLUSTERS = (GOLDEN["by_id"][name] for name in ("percentile_mean", "cluster_recall"))
TOLERANCE = {"rel": 1e-12, "abs": 1e-14}


def test_golden_interval_of_a_mean():
    values = torch.tensor(MEAN["inputs"]["values"], dtype=torch.float64)[:, None]
    draws = torch.tensor(MEAN["inputs"]["resample_indices"])
    resampled = means_of_draws(values, draws)[:, 0]
    found = estimate(means_of_draws(values, torch.arange(8)[None]).item(), resampled, 0.95)
    assert found.value == pytest.approx(MEAN["outputs"]["estimate"], **TOLERANCE)
    for name in ("low", "high", "std_error"):
        assert getattr(found, name) == pytest.approx(MEAN["outputs"][name], **TOLERANCE)
    assert resampled.tolist() == pytest.approx(MEAN["outputs"]["resampled_means"], **TOLERANCE)


def test_golden_captions_move_with_their_image():
    hits = torch.tensor(CLUSTERS["inputs"]["hits_per_image_caption"])
    owner = torch.arange(len(hits)).repeat_interleave(hits.shape[1])
    draws = torch.tensor(CLUSTERS["inputs"]["resample_image_indices"])
    values = hits.flatten()[:, None]
    resampled = means_of_draws(values, draws, owner)[:, 0]
    found = estimate(means_of_draws(values, torch.arange(5)[None], owner).item(), resampled, 0.9)
    assert found.value == pytest.approx(CLUSTERS["outputs"]["estimate"], **TOLERANCE)
    for name in ("low", "high"):
        assert getattr(found, name) == pytest.approx(CLUSTERS["outputs"][name], **TOLERANCE)
    assert resampled.tolist() == pytest.approx(CLUSTERS["outputs"]["resampled"], **TOLERANCE)


def test_images_with_more_captions_weigh_more():
    hits, owner = torch.tensor([[1.0], [1.0], [1.0], [0.0]]), torch.tensor([0, 0, 0, 1])
    draws = torch.tensor([[0, 1], [1, 1]])
    assert means_of_draws(hits, draws, owner).flatten().tolist() == [3 / 4, 0]


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=20))
def test_interval_stays_inside_the_values(values):
    found = estimate_mean(torch.tensor(values, dtype=torch.float64), resamples=20)
    assert min(values) - 1e-9 <= found.low <= found.high <= max(values) + 1e-9


def test_standard_error_of_a_mean():
    """std_error estimates sqrt(population variance / n); B = 4000 gives it to about 1%."""
    values = torch.randn(200, generator=torch.Generator().manual_seed(0)).double()
    found = estimate_mean(values, resamples=4000)
    assert found.std_error == pytest.approx(values.std(correction=0).item() / 200**0.5, rel=0.05)


@pytest.mark.parametrize("owner", [None, [0, 1, 1, 2]])
def test_estimate_of_a_mean_is_over_resamples_of_images(owner):
    """One resample after the other, as the definition says."""
    values = torch.tensor([0.3, 0.1, 0.8, 0.7], dtype=torch.float64)
    owner = None if owner is None else torch.tensor(owner)
    of_image = torch.arange(4) if owner is None else owner
    draws = resample(int(of_image.max()) + 1)
    means = [torch.cat([values[of_image == image] for image in draw]).mean() for draw in draws]
    expected = estimate(values.mean().item(), torch.stack(means))
    found = estimate_mean(values, owner)
    for name in ("value", "low", "high", "std_error"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), **TOLERANCE)
    assert (found.confidence, found.resamples) == (0.95, 1000)


def test_means_of_many_columns_are_over_the_same_resamples():
    values = torch.rand(30, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    owner = torch.arange(30) // 2
    for column, found in zip(values.T, estimate_means(values, owner), strict=True):
        expected = estimate_mean(column, owner)
        for name in ("value", "low", "high", "std_error"):
            assert getattr(found, name) == pytest.approx(getattr(expected, name), **TOLERANCE)


def test_resamples_of_one_stream_are_the_same_and_of_two_differ():
    first, same, other = (resample(9, 20, stream) for stream in (("a", 1), ("a", 1), ("a", 2)))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert first.shape == (20, 9)
    assert (first.min(), first.max()) == (0, 8)


def test_resamples_in_parts_are_the_same(monkeypatch):
    monkeypatch.setattr(bootstrap, "PART", 50)
    whole = resample(9, 20, ("a", 1))
    parts = list(resample_in_parts(9, 20, ("a", 1)))
    assert [len(part) for part in parts] == [5, 5, 5, 5]
    assert torch.equal(torch.cat(parts), whole)
    assert [len(part) for part in resample_in_parts(9, 20, width=30)] == [1] * 20


def test_estimates_in_parts_are_the_same(monkeypatch):
    values = torch.rand(30, generator=torch.Generator().manual_seed(0)).double()
    whole = estimate_mean(values), estimate_median(values)
    monkeypatch.setattr(bootstrap, "PART", 1000)
    in_parts = estimate_mean(values), estimate_median(values)
    for found, expected in zip(in_parts, whole, strict=True):
        for name in ("value", "low", "high", "std_error"):
            assert getattr(found, name) == pytest.approx(getattr(expected, name), **TOLERANCE)


@pytest.mark.parametrize("owner", [None, [0, 1, 1, 2, 0], [2, 0, 1, 1]])
def test_estimate_of_a_median_is_over_resamples_of_images(owner):
    """One resample after the other, as the definition says."""
    values = torch.tensor([3.0, 1, 8, 7, 3])[: len(owner or range(5))].double()
    owner = None if owner is None else torch.tensor(owner)
    of_image = torch.arange(len(values)) if owner is None else owner
    draws = resample(int(of_image.max()) + 1, 50)
    medians = [torch.cat([values[of_image == image] for image in draw]).numpy() for draw in draws]
    expected = estimate(
        float(np.median(values.numpy())), torch.tensor([np.median(m) for m in medians]).double()
    )
    found = estimate_median(values, owner, resamples=50)
    for name in ("value", "low", "high", "std_error"):
        assert getattr(found, name) == pytest.approx(getattr(expected, name), **TOLERANCE)


def test_resamples_of_images_without_values_are_left_out():
    """Captions 0 and 1 of image 0, caption 2 of image 2; image 1 has none of its own."""
    values, owner = torch.tensor([1.0, 4.0, 9.0]).double(), torch.tensor([0, 0, 2])
    draws = [draw for draw in resample(3, 400).tolist() if set(draw) != {1}]
    assert len(draws) < 400
    drawn = [torch.cat([values[owner == image] for image in draw]).numpy() for draw in draws]
    for estimated, statistic in ((estimate_mean, np.mean), (estimate_median, np.median)):
        expected = estimate(
            float(statistic(values.numpy())), torch.tensor([statistic(each) for each in drawn])
        )
        found = estimated(values, owner, resamples=400)
        assert found.resamples == len(draws)
        for name in ("value", "low", "high", "std_error"):
            assert getattr(found, name) == pytest.approx(getattr(expected, name), **TOLERANCE)


def test_resamples_without_the_statistic_are_left_out():
    values = torch.tensor([1.0, float("nan"), 2.0]).double()
    found = estimate_of_finite(1.5, values)
    assert (found.resamples, found.value) == (2, 1.5)
    assert 1 <= found.low <= found.high <= 2


def test_counts_say_how_often_each_image_was_drawn():
    draws = torch.tensor([[0, 0, 2], [1, 2, 2]])
    assert count_draws(draws).tolist() == [[2, 0, 1], [0, 1, 2]]


def test_estimate_comes_back_from_json_without_its_standard_error():
    found = Estimate(0.5, 0.25, 0.75, 0.95, 1000, std_error=0.1)
    entry = {"mean": 0.5, "low": 0.25, "high": 0.75, "confidence": 0.95, "resamples": 1000}
    assert found.as_json() == entry
    assert Estimate.from_json(entry) == Estimate(0.5, 0.25, 0.75, 0.95, 1000)
