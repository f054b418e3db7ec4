"""The bound: golden terms, exact cases of Gaussian data, and estimates that average to it.

For Gaussian data the reverse process is known: p(x_{t-1} | x_t) has the variance

    beta_tilde + c_0^2 Var(x_0 | x_t)

which lies between beta_tilde and beta. With it the terms t >= 1 and the prior add up, at any T, to
what is left when nothing is lost: KL(q(x_t | x_0) || p(x_t)) at the least noisy step.
"""

from __future__ import annotations

import itertools
import math
from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from tests.helpers.exact import gaussian, with_mix
from tests.helpers.golden import golden, schedule_of
from textdiff.diffusion import NoiseSchedule
from textdiff.diffusion.likelihood import (
    HALF_BIN,
    bits_per_dim,
    bound_term,
    bound_terms,
    discretised_log_prob,
    normal_kl,
    prior_term,
    strata,
    stratified_timesteps,
)
from textdiff.diffusion.prediction import from_x_0
from textdiff.sampling.threshold import static_threshold
from textdiff.types import Denoise, Prediction

GOLDEN = golden("likelihood")
CASES = [case for case in GOLDEN["cases"] if "schedule" in case["inputs"]]
UNCLIPPED = [case for case in CASES if not case["inputs"]["clip_denoised"]]
BINS = GOLDEN["by_id"]["discretised_gaussian"]
DTYPES = ["float64", "float32"]
LEVELS = torch.arange(256, dtype=torch.float64) / 127.5 - 1
MEAN, STD = -0.1, 0.25  # of the exact cases' data, nearly all of which lies in [-1, 1]


def by_id(case: dict) -> str:
    return case["id"]


def close(found: Tensor, expected, dtype: str) -> None:
    expected = torch.tensor(expected, dtype=found.dtype)
    torch.testing.assert_close(found, expected, **GOLDEN["tolerance"][dtype])


def terms(
    denoise: Denoise, chain: NoiseSchedule, x_0: Tensor, eps: Tensor, variance: str, indices=None
) -> Tensor:
    """(N, B) bits/dim of all steps, or of `indices`, with the same eps at each."""
    indices = range(chain.num_timesteps) if indices is None else indices
    steps = [torch.full((len(x_0),), index) for index in indices]
    term = partial(bound_term, chain, variance=variance)
    found = bound_terms(denoise, chain, x_0, lambda timestep: eps, term, steps)
    return torch.stack([bits for _, bits in found])


def golden_inputs(case: dict, dtype: str) -> tuple[NoiseSchedule, Denoise, Tensor, Tensor]:
    """Schedule, denoiser, x_0 and eps of a golden case."""
    inputs, schedule = case["inputs"], schedule_of(case["inputs"])
    x_0 = torch.tensor(inputs["x_0_uint8"], dtype=getattr(torch, dtype)) / 127.5 - 1
    denoise = gaussian(schedule, inputs["model"]["m"], inputs["model"]["s"])
    if inputs["clip_denoised"]:
        denoise = static_threshold(denoise, schedule)
    return schedule, denoise, x_0, torch.tensor(inputs["noise"], dtype=x_0.dtype)


# Golden


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES, ids=by_id)
def test_golden_terms(case, dtype):
    schedule, denoise, x_0, eps = golden_inputs(case, dtype)
    expected = case["outputs"]
    found = terms(denoise, schedule, x_0, eps, case["inputs"]["variance"], expected["timesteps"])
    close(found[:, 0], expected["vb_bits"], dtype)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", UNCLIPPED, ids=by_id)
def test_golden_total(case, dtype):
    schedule, denoise, x_0, eps = golden_inputs(case, dtype)
    found = terms(denoise, schedule, x_0, eps, case["inputs"]["variance"]).sum(0)
    close(prior_term(schedule, x_0), [case["outputs"]["prior_bits"]], dtype)
    close(prior_term(schedule, x_0) + found, [case["outputs"]["total_bits"]], dtype)


@pytest.mark.parametrize("case", UNCLIPPED, ids=by_id)
def test_golden_expectation_over_eps(case):
    """By quadrature: pixels are independent, so one eps per picture does for all of them."""
    schedule, denoise, x_0, _ = golden_inputs(case, "float64")
    nodes, weights = quadrature(160)
    x_0 = x_0.expand(len(nodes), -1, -1, -1)
    eps = nodes.view(-1, 1, 1, 1).expand_as(x_0)
    variance, expected = case["inputs"]["variance"], case["outputs"]
    found = terms(denoise, schedule, x_0, eps, variance, expected["timesteps"]) @ weights
    close(found, expected["expected_vb_bits"], "float64")


@pytest.mark.parametrize("dtype", DTYPES)
def test_golden_grey_levels(dtype):
    inputs, to = BINS["inputs"], getattr(torch, dtype)
    x_0 = torch.tensor(inputs["x_uint8"], dtype=to) / 127.5 - 1
    mean, log_sigma = (torch.tensor(inputs[name], dtype=to) for name in ("mean", "log_sigma"))
    found = discretised_log_prob(x_0, mean, 2 * log_sigma)
    close(found, BINS["outputs"]["log_prob_nats"], dtype)


# The pieces


@given(st.tuples(*[st.floats(-5, 5)] * 4))
def test_normal_kl_is_that_of_torch(values):
    mean_1, log_var_1, mean_2, log_var_2 = torch.tensor(values, dtype=torch.float64)
    one, two = Normal(mean_1, (log_var_1 / 2).exp()), Normal(mean_2, (log_var_2 / 2).exp())
    torch.testing.assert_close(
        normal_kl(mean_1, log_var_1, mean_2, log_var_2), kl_divergence(one, two)
    )


def test_normal_kl_of_nearly_equal_variances_keeps_its_digits():
    """d^2 / 4 for a small difference d of the log-variances."""
    d, zero = torch.tensor(1e-3), torch.tensor(0.0)
    assert normal_kl(zero, d, zero, zero).item() == pytest.approx(1e-6 / 4, rel=0.01)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
@given(mean=st.floats(-3, 3), log_sigma=st.floats(-8, 2))
def test_probabilities_of_the_grey_levels_add_up_to_1(dtype, tolerance, mean, log_sigma):
    x_0 = LEVELS.to(dtype)
    log_p = discretised_log_prob(x_0, torch.full_like(x_0, mean), torch.tensor(2 * log_sigma))
    assert log_p.exp().sum().item() == pytest.approx(1, abs=tolerance)


@pytest.mark.parametrize("log_sigma", [-14.0, -8.0, -3.0, 0.0, 3.0])
@pytest.mark.parametrize("mean", [-30.0, -1.0, 0.0, 0.999, 30.0])
def test_grey_levels_stay_finite_in_float32(mean, log_sigma):
    """However sharp and wrong the Gaussian: the log-probability, and what training makes of it."""
    x_0 = LEVELS.float()
    means = torch.full_like(x_0, mean, requires_grad=True)
    log_var = torch.full_like(x_0, 2 * log_sigma, requires_grad=True)
    log_p = discretised_log_prob(x_0, means, log_var)
    gradients = torch.autograd.grad(log_p.sum(), (means, log_var))
    assert all(values.isfinite().all() for values in (log_p, *gradients))
    assert (log_p <= 0).all()


@pytest.mark.parametrize("log_sigma", [-9.0, -5.0, -2.0])
def test_gradients_in_float32_keep_their_digits_in_the_tails(log_sigma):
    mean = torch.linspace(-1.5, 1.5, 256, dtype=torch.float64)
    log_var = torch.full_like(mean, 2 * log_sigma)
    found = []
    for dtype in (torch.float32, torch.float64):
        given_to = [x.to(dtype).requires_grad_(True) for x in (mean, log_var)]
        log_p = discretised_log_prob(LEVELS.to(dtype), *given_to)
        found.append(torch.autograd.grad(log_p.sum(), given_to))
    for single, double in zip(*found, strict=True):
        torch.testing.assert_close(single.double(), double, rtol=1e-3, atol=1e-3)


def test_gradient_of_a_grey_level_is_the_difference_quotient():
    mean = torch.linspace(-1.2, 1.2, 256, dtype=torch.float64).requires_grad_(True)
    log_var = torch.full_like(mean, -6.0).requires_grad_(True)
    assert torch.autograd.gradcheck(lambda *x: discretised_log_prob(LEVELS, *x), (mean, log_var))


# Gaussian data


def quadrature(nodes: int) -> tuple[Tensor, Tensor]:
    """Points and weights of an expectation over N(0, 1)."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    return torch.from_numpy(points), torch.from_numpy(weights / weights.sum())


def chain_of(num_timesteps: int, first_noise: float = 0.03) -> NoiseSchedule:
    """From noise of this variance share to almost pure noise, evenly in log-SNR."""
    most = math.log((1 - first_noise**2) / first_noise**2)
    log_snr = torch.linspace(most, -10, num_timesteps, dtype=torch.float64)
    ac = log_snr.sigmoid()
    return NoiseSchedule(1 - ac / torch.cat([torch.ones(1, dtype=torch.float64), ac[:-1]]))


def best_variance(schedule: NoiseSchedule) -> Denoise:
    """The exact denoiser that knows the reverse variance too, as a learned one."""
    ac, betas = schedule.alphas_cumprod, schedule.betas
    of_x_0 = STD**2 * (1 - ac) / (ac * STD**2 + 1 - ac)
    variance = schedule.posterior_variance + schedule.posterior_coefficients[0] ** 2 * of_x_0
    small = schedule.posterior_log_variance_clipped
    mix = ((variance.log() - small) / (betas.log() - small)).nan_to_num()
    denoise = gaussian(schedule, MEAN, STD)

    def knowing(x_t: Tensor, timestep: Tensor) -> Prediction:
        v = mix[timestep].view(-1, 1, 1, 1).expand_as(x_t)
        said = denoise(x_t, timestep)
        return Prediction(said.x_0, said.eps, v)

    return knowing


def expected_terms(denoise: Denoise, chain: NoiseSchedule, variance: str, x_0: Tensor) -> Tensor:
    """(T, n) E[L_t] over eps, of the pixels x_0 (n,)."""
    nodes, weights = quadrature(32)
    pixels = x_0.view(-1, 1, 1, 1).expand(-1, len(nodes), 1, 1).reshape(-1, 1, 1, 1)
    eps = nodes.repeat(len(x_0)).view_as(pixels)
    found = terms(denoise, chain, pixels, eps, variance)
    return found.view(chain.num_timesteps, len(x_0), len(nodes)) @ weights


def encoded(chain: NoiseSchedule, x_0: Tensor) -> Tensor:
    """KL(q(x_t | x_0) || p(x_t)) at the least noisy step, in bits, of each pixel."""
    ac = chain.alphas_cumprod[0]
    one = Normal(ac.sqrt() * x_0, (1 - ac).sqrt())
    two = Normal(ac.sqrt() * MEAN, (ac * STD**2 + 1 - ac).sqrt())
    return kl_divergence(one, two) / math.log(2)


def noisy_part(chain: NoiseSchedule, denoise: Denoise, variance: str, x_0: Tensor) -> Tensor:
    """The prior and the terms of t >= 1, in bits, of each pixel."""
    found = expected_terms(denoise, chain, variance, x_0)[1:].sum(0)
    return prior_term(chain, x_0.view(-1, 1, 1, 1)) + found


@pytest.mark.parametrize("num_timesteps", [2, 3, 20, 200])
def test_nothing_is_lost_with_the_true_reverse_variance(num_timesteps):
    """On average over the data: a single picture gains or loses by the model's being a chain."""
    chain = chain_of(num_timesteps)
    nodes, weights = quadrature(32)
    x_0 = MEAN + STD * nodes
    found = noisy_part(chain, best_variance(chain), "learned", x_0) @ weights
    torch.testing.assert_close(found, encoded(chain, x_0) @ weights)


@pytest.mark.slow
@pytest.mark.parametrize("variance", ["fixed_small", "fixed_large"])
def test_what_a_fixed_variance_loses_halves_with_twice_the_steps(variance):
    nodes, weights = quadrature(32)
    x_0, lost = MEAN + STD * nodes, []
    for num_timesteps in (100, 200, 400):
        chain = chain_of(num_timesteps)
        found = noisy_part(chain, gaussian(chain, MEAN, STD), variance, x_0)
        lost.append(((found - encoded(chain, x_0)) @ weights).item())
    assert lost[0] / lost[1] == pytest.approx(2, rel=0.05)
    assert lost[1] / lost[2] == pytest.approx(2, rel=0.05)


def test_the_true_reverse_variance_beats_both_fixed_ones_at_every_timestep():
    chain = chain_of(30)
    nodes, weights = quadrature(32)
    x_0, exact = MEAN + STD * nodes, gaussian(chain, MEAN, STD)
    best = (expected_terms(best_variance(chain), chain, "learned", x_0) @ weights)[1:]
    for variance in ("fixed_small", "fixed_large"):
        fixed = (expected_terms(exact, chain, variance, x_0) @ weights)[1:]
        assert (best <= fixed + 1e-12).all()
        assert best.sum() < fixed.sum() - 0.01


def test_bound_falls_to_the_entropy_of_the_grey_levels():
    """All 256 levels, each as often as the data have it; sigma^2 = beta, at t = 0 too."""
    ends = (LEVELS[:-1] + HALF_BIN - MEAN) / STD
    cdf = torch.cat([torch.zeros(1), torch.special.ndtr(ends), torch.ones(1)])
    share, lost = cdf.diff(), []
    entropy = -(share * share.log2()).sum()
    for num_timesteps in (4, 16, 64, 256):
        chain = chain_of(num_timesteps)
        denoise = with_mix(gaussian(chain, MEAN, STD), 1.0)
        found = expected_terms(denoise, chain, "learned", LEVELS).sum(0)
        total = prior_term(chain, LEVELS.view(-1, 1, 1, 1)) + found
        lost.append((total @ share - entropy).item())
    assert lost == sorted(lost, reverse=True)
    assert 0 < lost[-1] < 0.03  # of 7 bits


# Chains


@pytest.mark.parametrize("variance", ["fixed_small", "fixed_large", "learned"])
@pytest.mark.parametrize("visited", [[0], [7], [0, 9], [1, 4, 9]])
def test_bound_of_a_respaced_chain_is_that_of_its_betas(variance, visited):
    """The network is told the timesteps that it knows."""
    schedule = NoiseSchedule.cosine(10)
    chain = schedule.respaced(torch.tensor(visited))
    x_0 = LEVELS[::16].view(2, 2, 2, 2)
    eps = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(0), dtype=x_0.dtype)
    denoise, told = with_mix(gaussian(schedule, MEAN, STD), 0.3), []

    def listening(x_t: Tensor, timestep: Tensor) -> Prediction:
        told.append(timestep.tolist())
        return denoise(x_t, timestep)

    found = terms(listening, chain, x_0, eps, variance)
    assert told == [[t, t] for t in visited]
    alone = NoiseSchedule(chain.betas)
    expected = terms(with_mix(gaussian(alone, MEAN, STD), 0.3), alone, x_0, eps, variance)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("variance", ["fixed_small", "fixed_large", "learned"])
@pytest.mark.parametrize("num_timesteps", [1, 2, 1000])
def test_terms_are_finite_and_positive(dtype, variance, num_timesteps):
    schedule = NoiseSchedule.cosine(num_timesteps)
    if num_timesteps > 1:
        schedule = schedule.with_zero_terminal_snr()
    x_0 = LEVELS.to(dtype).view(1, 1, 16, 16)
    denoise = with_mix(lambda x_t, t: from_x_0(schedule, -x_0, x_t, t), 0.5)
    eps = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    some = [t for t in (0, 1, 500, 998, 999) if t < num_timesteps]
    found = terms(denoise, schedule, x_0, eps, variance, some)
    assert found.isfinite().all()
    assert (found > 0).all()


def test_prior_is_nothing_where_the_end_is_pure_noise():
    schedule = NoiseSchedule.linear(10).with_zero_terminal_snr()
    assert prior_term(schedule, LEVELS.view(4, 1, 8, 8)).tolist() == [0, 0, 0, 0]


def test_learned_variance_of_a_network_without_one():
    schedule = NoiseSchedule.linear(10)
    x_0 = torch.zeros(1, 1, 2, 2)
    with pytest.raises(ValueError, match="no learned variance"):
        terms(gaussian(schedule, 0, 1), schedule, x_0, x_0, "learned", [3])


def test_bits_per_dim_of_8_bit_pixels_is_8():
    assert bits_per_dim(torch.full((2, 3, 4, 4), math.log(256))).tolist() == pytest.approx([8, 8])


# Estimates from fewer timesteps


@given(st.data())
def test_strata_cut_the_timesteps(data):
    T = data.draw(st.integers(1, 2000))
    count = data.draw(st.integers(min(2, T), T))
    edges = strata(T, count)
    sizes = edges.diff()
    assert (edges[0], edges[1], edges[-1], len(sizes)) == (0, 1, T, count)
    assert (sizes >= 1).all()
    assert (sizes.diff() >= -1).all()  # they grow, up to rounding


def test_as_many_strata_as_timesteps_are_the_timesteps():
    assert strata(7, 7).tolist() == list(range(8))


@pytest.mark.parametrize(("T", "count", "fewest"), [(10, 1, 2), (10, 11, 2), (1, 2, 1)])
def test_strata_that_there_cannot_be(T, count, fewest):
    with pytest.raises(ValueError, match=rf"must lie in {fewest}\.\.{T}, got {count}"):
        strata(T, count)


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=5, max_size=5))
def test_timesteps_stay_in_their_strata(uniforms):
    edges = strata(1000, 5)
    (timesteps,) = stratified_timesteps(edges, torch.tensor([uniforms], dtype=torch.float64))
    assert ((edges[:-1] <= timesteps) & (timesteps < edges[1:])).all()


def test_estimate_averages_to_the_bound():
    """Over every timestep that each stratum can give."""
    schedule = NoiseSchedule.cosine(9)
    x_0 = LEVELS[::32].view(1, 2, 2, 2)
    eps = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(0), dtype=x_0.dtype)
    denoise = gaussian(schedule, MEAN, STD)
    everything = terms(denoise, schedule, x_0, eps, "fixed_large")[:, 0]
    edges = strata(9, 4)
    sizes = edges.diff()
    middles = [(torch.arange(n, dtype=torch.float64) + 0.5) / n for n in sizes]
    uniforms = torch.tensor(list(itertools.product(*middles)))
    chosen = stratified_timesteps(edges, uniforms)
    assert len(chosen.unique(dim=0)) == sizes.prod() > 1
    found = bound_terms(
        denoise,
        schedule,
        x_0.expand(len(chosen), -1, -1, -1),
        lambda timestep: eps.expand(len(chosen), -1, -1, -1),
        partial(bound_term, schedule, variance="fixed_large"),
        chosen.T,
    )
    estimates = torch.stack([bits for _, bits in found], dim=1) @ sizes.double()
    torch.testing.assert_close(estimates.mean(), everything.sum())
