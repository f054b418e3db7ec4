"""Sentences where there are too few pictures, and none where there are enough."""

from __future__ import annotations

import pytest
import torch

from textdiff.metrics import cmmd, frechet_distance, too_few


@pytest.mark.parametrize(
    ("metric", "counts", "said"),
    [
        ("frechet", {"drawn": 5000, "real": 9000, "dim": 512}, ["biased upwards", "5,120"]),
        ("frechet", {"drawn": 9000, "real": 300, "dim": 512}, ["300 real", "no inverse"]),
        ("kid", {"drawn": 60, "real": 9000}, ["interval of fewer than 100 is rough"]),
        ("cmmd", {"drawn": 200, "real": 9000}, ["biased upwards by up to 0.1"]),
        ("neighbours", {"drawn": 5, "real": 900}, ["none, as 5 neighbours need 6"]),
        ("neighbours", {"drawn": 900, "real": 900}, ["only with those of as many"]),
        ("neighbours", {"drawn": 9000, "real": 2000}, ["only with those of as many"]),
        ("mean", {"drawn": 29}, ["29 pictures are too narrow"]),
        ("mean", {"drawn": 100, "group": 4}, ["25 groups of 4 drawn pictures are too narrow"]),
        ("mean", {"drawn": 1}, ["two pictures or more", "none is known"]),
        ("kid", {"drawn": 9000, "real": 20}, ["KID of", "Intervals over 20"]),
    ],
)
def test_what_is_too_few_is_said(metric, counts, said):
    text = " ".join(too_few(metric, **counts))
    assert all(words in text for words in said), text


@pytest.mark.parametrize(
    ("metric", "counts"),
    [
        ("frechet", {"drawn": 5120, "real": 5120, "dim": 512}),
        ("kid", {"drawn": 100, "real": 100}),
        ("cmmd", {"drawn": 400, "real": 400}),
        ("neighbours", {"drawn": 1000, "real": 1000}),
        ("mean", {"drawn": 30}),
        ("mean", {"drawn": 120, "group": 4}),
    ],
)
def test_nothing_is_said_where_there_are_enough(metric, counts):
    assert too_few(metric, **counts) == []


@pytest.mark.parametrize("metric", ["Frechet distance", "fid", "", "KID"])
def test_an_unknown_metric_is_refused(metric, shapes_not_checked):
    with pytest.raises(ValueError, match=r"known: mean, frechet, kid, cmmd, neighbours"):
        too_few(metric, 5, 5, 512)


def pairs(rows: int, dim: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Two sets of one distribution."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(2, rows, dim, generator=rng).double().unbind()


def test_the_frechet_distance_of_one_distribution_is_far_from_zero_below_ten_times_the_width():
    few, many = (frechet_distance(*pairs(rows, 16)) for rows in (32, 1600))
    assert too_few("frechet", 32, 32, 16) and not too_few("frechet", 1600, 1600, 16)
    assert few > 20 * many > 0


def test_the_mean_cmmd_of_one_distribution_lies_below_the_bias_that_is_said():
    values = [cmmd(*pairs(100, 16, seed)) for seed in range(20)]
    assert 0.1 < sum(values) / len(values) < 0.4
    assert "up to 0.4" in too_few("cmmd", 100, 100)[0]
