"""Importance sampling of timesteps: IDDPM's probabilities, unbiased weights, uniform at first."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from textdiff.diffusion.importance import UNIFORM_SHARE, ImportanceTimesteps


def filled(num_timesteps: int, buckets: int, terms: torch.Tensor) -> ImportanceTimesteps:
    """Whose history holds `terms` (T,), seen twice each."""
    sampler = ImportanceTimesteps(num_timesteps, buckets, history=2)
    for _ in range(2):
        sampler.update(torch.arange(num_timesteps), terms)
    return sampler


def midpoints(count: int) -> torch.Tensor:
    return (torch.arange(count, dtype=torch.float64) + 0.5) / count


def test_draws_are_uniform_until_every_timestep_has_its_history():
    sampler = ImportanceTimesteps(10, buckets=10, history=2)
    sampler.update(torch.arange(10), torch.arange(10.0))
    sampler.update(torch.arange(9), torch.arange(9.0))
    timestep, weight = sampler.draw(midpoints(1000))
    assert (timestep.bincount() == 100).all()
    torch.testing.assert_close(weight, torch.ones(1000, dtype=torch.float64))


def test_timesteps_are_drawn_as_their_terms():
    """p_t = sqrt(E[L_t^2]) / sum: terms of 3 and 4 make a root mean square of 3.54."""
    sampler = ImportanceTimesteps(2, buckets=2, history=2)
    sampler.update(torch.tensor([0, 1, 0, 1]), torch.tensor([3.0, 1.0, 4.0, 1.0]))
    share = 12.5**0.5 / (12.5**0.5 + 1)
    expected = (1 - UNIFORM_SHARE) * share + UNIFORM_SHARE / 2
    assert sampler.probabilities()[0].item() == pytest.approx(expected)
    drawn, _ = sampler.draw(midpoints(100_000))
    assert (drawn == 0).double().mean().item() == pytest.approx(expected, abs=1e-4)


def test_the_oldest_term_is_forgotten():
    sampler = ImportanceTimesteps(2, buckets=2, history=2)
    for term in (100.0, 2.0, 2.0):
        sampler.update(torch.tensor([0, 1]), torch.tensor([term, 1.0]))
    assert sampler.terms[0].tolist() == [2.0, 2.0]


@given(
    st.integers(1, 30).flatmap(lambda T: st.tuples(st.just(T), st.integers(1, T + 3))),
    st.randoms(use_true_random=False),
)
def test_weighted_average_is_that_of_uniform_draws(sizes, random):
    """sum_t p_t w_t f(t) = mean_t f(t), for any history and any buckets."""
    num_timesteps, buckets = sizes
    terms = torch.tensor([random.uniform(0.01, 10) for _ in range(num_timesteps)])
    sampler = filled(num_timesteps, buckets, terms)
    sizes = sampler.starts.diff()
    timestep, weight = sampler.draw(midpoints(4000))
    assert timestep.min() >= 0
    assert timestep.max() < num_timesteps
    p = (sampler.probabilities() / sizes).repeat_interleave(sizes)
    torch.testing.assert_close(weight, 1 / (num_timesteps * p[timestep]))
    share = timestep.bincount(minlength=num_timesteps) / 4000
    torch.testing.assert_close(share, p.to(share.dtype), atol=1e-3, rtol=0)


def test_a_uniform_next_to_one_draws_the_last_timestep():
    sampler = filled(7, 3, torch.ones(7))
    timestep, _ = sampler.draw(torch.tensor([1 - 2**-53], dtype=torch.float64))
    assert timestep.item() == 6
