"""Bounds of several images: sums by hand, intervals as the other evals give them, named noise."""

from __future__ import annotations

import pytest
import torch

from textdiff.metrics.bootstrap import estimate_mean
from textdiff.metrics.likelihood import Bound, noise_of, uniforms_of

# two images; strata 0, 1..2 and 3..9
BOUND = Bound(
    prior=torch.tensor([0.5, 0.25], dtype=torch.float64),
    timesteps=torch.tensor([[0, 2, 5], [0, 1, 9]]),
    terms=torch.tensor([[4.0, 3.0, 1.0], [2.0, 1.0, 0.0]], dtype=torch.float64),
    edges=torch.tensor([0, 1, 3, 10]),
)


def test_each_term_stands_for_its_stratum():
    assert BOUND.total.tolist() == [0.5 + 4 + 2 * 3 + 7 * 1, 0.25 + 2 + 2 * 1]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0, 1, [4, 2]), (1, 10, [13, 2]), (0, 2, [4, 4]), (2, 6, [13, 0]), (6, 10, [0, 0])],
)
def test_sum_between_timesteps(low, high, expected):
    assert BOUND.between(low, high).tolist() == expected


def test_sums_over_adjoining_ranges_add_up():
    parts = BOUND.between(0, 3) + BOUND.between(3, 10)
    assert (BOUND.prior + parts).tolist() == BOUND.total.tolist()


def test_interval_of_each_term_is_that_of_the_evals():
    terms = torch.rand(30, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    bound = Bound(torch.zeros(30), torch.arange(4).expand(30, -1), terms, torch.arange(5))
    for k, found in enumerate(bound.term_means()):
        expected = estimate_mean(terms[:, k])
        for name in ("value", "low", "high"):
            assert getattr(found, name) == pytest.approx(getattr(expected, name))


def test_noise_of_an_image_is_the_same_in_every_batch():
    like = torch.zeros(3, 1, 4, 4)
    timestep = torch.tensor([5, 5, 6])
    together = noise_of(1, ["a", "b", "a"], like)(timestep)
    assert torch.equal(together[1:2], noise_of(1, ["b"], like[:1])(timestep[1:2]))
    assert torch.equal(together[2:], noise_of(1, ["a"], like[:1])(timestep[2:]))


def test_noise_differs_by_seed_image_and_timestep():
    like = torch.zeros(3, 1, 4, 4)
    first = noise_of(1, ["a", "b", "a"], like)(torch.tensor([5, 5, 6]))
    other = noise_of(2, ["a"], like[:1])(torch.tensor([5]))
    assert len(torch.cat([first, other]).flatten(1).unique(dim=0)) == 4


def test_noise_is_standard_normal_and_the_same_in_float64():
    like = torch.zeros(2, 3, 64, 64)
    timestep = torch.tensor([0, 1])
    eps = noise_of(0, ["a", "b"], like)(timestep)
    assert eps.mean().item() == pytest.approx(0, abs=0.02)
    assert eps.std().item() == pytest.approx(1, abs=0.02)
    assert torch.equal(noise_of(0, ["a", "b"], like.double())(timestep), eps.double())


def test_uniforms_of_an_image_are_the_same_in_every_batch():
    both = uniforms_of(0, ["a", "b"], 5)
    assert both.shape == (2, 5)
    assert ((both >= 0) & (both < 1)).all()
    assert torch.equal(both[1:], uniforms_of(0, ["b"], 5))
    assert not torch.equal(both[0], both[1])
