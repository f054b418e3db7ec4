"""Samplers driven by exact denoisers: what they draw, and the order at which they converge."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.helpers.exact import (
    final,
    gaussian,
    gaussian_flow,
    no_noise,
    points,
    standard_normal,
    with_mix,
)
from textdiff.diffusion import NoiseSchedule, ScheduleConfig, from_eps
from textdiff.sampling import DDIM, DDPM, DPMSolverPP, UniPC, sample, timestep_grid

COSINE = NoiseSchedule.cosine(1000)
SAMPLERS = [
    *(DDPM(variance) for variance in ("fixed_small", "fixed_large", "learned")),
    *(DDIM(eta) for eta in (0.0, 0.5, 1.0)),
    *(DPMSolverPP(sde) for sde in (False, True)),
    UniPC(),
]


# known distributions


def assert_gaussian_moments(sampler, schedule: NoiseSchedule) -> None:
    mean, std, count = 0.3, 0.5, 10_000
    noise = standard_normal((count, 1, 1, 1), seed=0)
    denoise, grid = with_mix(gaussian(schedule, mean, std), 0.5), timestep_grid(schedule, 500)
    x = final(denoise, schedule, sampler, grid, noise(), noise)
    # four standard errors, and the bias of 500 steps, which is below 1%
    assert float(x.mean()) == pytest.approx(mean, abs=4 * std / count**0.5)
    assert float(x.std()) == pytest.approx(std, abs=4 * std / (2 * count) ** 0.5 + 0.01 * std)


@pytest.mark.slow
@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
def test_samples_of_a_gaussian_have_its_moments(sampler):
    assert_gaussian_moments(sampler, COSINE)


@pytest.mark.parametrize("sampler", [DDPM("learned"), DPMSolverPP(True), UniPC()], ids=str)
def test_so_they_have_with_zero_terminal_snr(sampler):
    assert_gaussian_moments(sampler, NoiseSchedule.linear(1000).with_zero_terminal_snr())


@pytest.mark.slow
@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
def test_samples_of_points_are_points_in_their_proportions(sampler):
    where = torch.tensor([-0.8, 0.1, 0.9], dtype=torch.float64)
    weights = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)
    noise = standard_normal((4000, 1, 1, 1), seed=1)
    denoise = with_mix(points(COSINE, where, weights), 0.5)
    x = final(denoise, COSINE, sampler, timestep_grid(COSINE, 250), noise(), noise)
    distance, nearest = (x - where).abs().min(-1)
    assert float(distance.max()) < 1e-6
    drawn = nearest.flatten().bincount(minlength=3) / len(x)
    standard_error = (weights * (1 - weights) / len(x)).sqrt()
    assert ((drawn - weights).abs() < 4 * standard_error + 0.005).all()


# convergence


def uniform_in_log_snr(num_timesteps: int) -> NoiseSchedule:
    """A schedule whose half_log_snr falls from 5 to -5 in equal steps."""
    ac = torch.linspace(10, -10, num_timesteps, dtype=torch.float64).sigmoid()
    return NoiseSchedule(1 - ac / torch.cat([torch.ones(1, dtype=torch.float64), ac[:-1]]))


def slope(steps: list[int], errors: list[float]) -> float:
    """Of log error against log steps, by least squares."""
    x, y = (torch.tensor(values, dtype=torch.float64).log() for values in (steps, errors))
    return float(((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum())


@pytest.mark.parametrize(
    ("sampler", "order"), [(DDIM(), 1), (DPMSolverPP(), 2), (UniPC(), 3)], ids=str
)
@pytest.mark.parametrize("std", [0.1, 0.5, 2.0])
def test_an_ode_solver_converges_with_its_order(sampler, order, std):
    """On arrival at the least noisy timestep: the step from there to x_0_hat stays as it is."""
    schedule, mean = uniform_in_log_snr(1025), 0.3
    x_T = torch.tensor([1.2, -0.7, 0.4, -2.1], dtype=torch.float64).view(4, 1, 1, 1)
    ac = schedule.alphas_cumprod
    exact = gaussian_flow(x_T, ac[-1], ac[0], mean, std)
    intervals, errors = [32, 64, 128, 256, 512], []
    for number in intervals:
        grid = timestep_grid(schedule, number + 1, "linspace")
        steps = sample(gaussian(schedule, mean, std), schedule, sampler, grid, x_T, no_noise)
        arrived = [step.x_t for step in steps][-2]
        errors.append(float((arrived - exact).abs().max()))
    assert slope(intervals, errors) == pytest.approx(-order, abs=0.1)


# one sampler is another


@pytest.mark.slow
@pytest.mark.parametrize(("mix", "fixed"), [(0.0, "fixed_small"), (1.0, "fixed_large")])
@pytest.mark.parametrize("num_steps", [10, 1000])
def test_ddpm_with_a_learned_variance_at_its_ends_is_a_fixed_one(mix, fixed, num_steps):
    grid, x_T = timestep_grid(COSINE, num_steps), standard_normal((4, 1, 2, 2), seed=0)()
    denoise = with_mix(gaussian(COSINE, 0.3, 0.5), mix)
    learned, expected = (
        final(denoise, COSINE, DDPM(variance), grid, x_T, standard_normal(x_T.shape, seed=1))
        for variance in ("learned", fixed)
    )
    torch.testing.assert_close(learned, expected)


@settings(max_examples=50)
@given(
    other=st.sampled_from([DDIM(1.0), DPMSolverPP(sde=True)]),
    name=st.sampled_from(["linear", "cosine"]),
    num_steps=st.integers(1, 20),
    seed=st.integers(0, 2**31),
    data=st.data(),
)
def test_ancestral_sampling_by_other_names(other, name, num_steps, seed, data):
    """DDIM at eta 1, and the SDE solver while it has one prediction, are DDPM with fixed_small."""
    schedule = NoiseSchedule.from_config(ScheduleConfig(name=name, num_timesteps=200))
    chain = schedule.respaced(timestep_grid(schedule, num_steps))
    index = data.draw(st.integers(0, num_steps - 1))
    normal = standard_normal((2, 1, 2, 2), seed)
    x_t, eps, z = normal(), normal(), normal()
    said = [from_eps(schedule, eps, x_t, chain.timesteps[index].repeat(2))]
    one, two = (
        sampler.update(x_t, said, chain, index, lambda: z)
        for sampler in (other, DDPM("fixed_small"))
    )
    torch.testing.assert_close(one, two, rtol=1e-8, atol=1e-9)


@settings(max_examples=50)
@given(
    num_steps=st.integers(1, 20),
    seed=st.integers(0, 2**31),
    data=st.data(),
)
def test_one_prediction_makes_the_ode_solver_ddim(num_steps, seed, data):
    chain = COSINE.respaced(timestep_grid(COSINE, num_steps))
    index = data.draw(st.integers(0, num_steps - 1))
    normal = standard_normal((2, 1, 2, 2), seed)
    x_t, eps = normal(), normal()
    said = [from_eps(COSINE, eps, x_t, chain.timesteps[index].repeat(2))]
    one, two = (s.update(x_t, said, chain, index, no_noise) for s in (DPMSolverPP(), DDIM()))
    torch.testing.assert_close(one, two, rtol=1e-8, atol=1e-9)
