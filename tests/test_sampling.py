"""Samplers: golden trajectories, and denoisers whose samples are known exactly.

Gaussian data N(m, d^2):  x_0_hat = m + a d^2 (x_t - a m) / D2,   D2 = ac d^2 + 1 - ac
points p_k, weights w_k:  x_0_hat = sum_k softmax_k(log w_k - (x_t - a p_k)^2 / (2 b^2)) p_k
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.conftest import golden, schedule_of
from textdiff.diffusion import NoiseSchedule, ScheduleConfig, from_eps
from textdiff.diffusion.prediction import clip_x_0, from_x_0
from textdiff.sampling import DDIM, DDPM, ImageNoise, sample, timestep_grid
from textdiff.types import Denoise, Prediction

ANCESTRAL, DDIM_CASES = golden("ancestral"), golden("ddim")
DTYPES = {"float64": torch.float64, "float32": torch.float32}


def cases(file: dict, output: str) -> list:
    return [pytest.param(c, id=c["id"]) for c in file["cases"] if output in c["outputs"]]


def grid_of(inputs: dict) -> Tensor:
    if "timesteps" in inputs:
        return torch.tensor(inputs["timesteps"][::-1])
    return timestep_grid(inputs["num_train_timesteps"], inputs["num_steps"], inputs["spacing"])


def sampler_of(inputs: dict) -> DDPM | DDIM:
    return DDIM(inputs["eta"]) if "eta" in inputs else DDPM(inputs["variance"])


def gaussian(schedule: NoiseSchedule, mean, std: float) -> Denoise:
    """The exact denoiser of data N(mean, std^2)."""

    def denoise(x_t: Tensor, timestep: Tensor) -> Prediction:
        m = torch.as_tensor(mean, dtype=x_t.dtype)
        ac = schedule.at("alphas_cumprod", timestep, x_t)
        residual = (x_t - ac.sqrt() * m) / (ac * std**2 + 1 - ac)
        x_0 = m + ac.sqrt() * std**2 * residual
        return Prediction(x_0=x_0, eps=schedule.at("noise", timestep, x_t) * residual)

    return denoise


def points(schedule: NoiseSchedule, where: Tensor, weights: Tensor) -> Denoise:
    """The exact denoiser of data that take the values `where` (K,) with probabilities `weights`."""

    def denoise(x_t: Tensor, timestep: Tensor) -> Prediction:
        a, b = (schedule.at(name, timestep, x_t)[..., None] for name in ("signal", "noise"))
        logits = weights.log() - (x_t[..., None] - a * where).square() / (2 * b**2)
        x_0 = (logits.softmax(-1) * where).sum(-1)
        return from_x_0(schedule, x_0, x_t, timestep)

    return denoise


def no_noise() -> Tensor:
    raise AssertionError("noise was drawn")


def listed(noises: list, dtype=torch.float64) -> Callable[[], Tensor]:
    """Hands out the golden noises in order; more draws than listed fail."""
    left = iter(noises)
    return lambda: torch.tensor(next(left), dtype=dtype)


def standard_normal(shape: tuple[int, ...], seed: int) -> Callable[[], Tensor]:
    rng = torch.Generator().manual_seed(seed)
    return lambda: torch.randn(shape, generator=rng, dtype=torch.float64)


def golden_run(case: dict, dtype=torch.float64) -> Tensor:
    """x after every step of a golden case, noisiest first: (N, B, C, H, W)."""
    inputs = case["inputs"]
    schedule = schedule_of(inputs)
    denoise = gaussian(schedule, inputs["model"]["m"], inputs["model"]["s"])
    if inputs.get("clip_denoised"):
        denoise = clip_x_0(denoise, schedule)
    x_T = torch.tensor(inputs["x_T"], dtype=dtype)
    noise = listed(inputs["noises"], dtype) if "noises" in inputs else no_noise
    steps = sample(denoise, schedule, sampler_of(inputs), grid_of(inputs), x_T, noise)
    return torch.stack([step.x for step in steps])


def final(*arguments) -> Tensor:
    """x of the last step of `sample(*arguments)`."""
    *_, last = sample(*arguments)
    return last.x


# golden trajectories


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", [*cases(ANCESTRAL, "x_next"), *cases(DDIM_CASES, "x_next")])
def test_golden_trajectory(case, dtype):
    tolerance = dict(DDIM_CASES["tolerance"][dtype])
    if dtype == "float32" and case["id"].startswith("cosine"):
        tolerance["atol"] = 1e-3  # x_0_hat divides by sqrt(ac) = 5e-5 on the first step
    expected = torch.tensor(case["outputs"]["x_next"], dtype=DTYPES[dtype])
    torch.testing.assert_close(golden_run(case, DTYPES[dtype]), expected, **tolerance)


@pytest.mark.parametrize("case", cases(DDIM_CASES, "ode_exact_final"))
def test_golden_final_of_long_grids(case):
    expected = torch.tensor(case["outputs"]["final"], dtype=torch.float64)
    tolerance = DDIM_CASES["tolerance"]["float64"]
    torch.testing.assert_close(golden_run(case)[-1], expected, **tolerance)


@pytest.mark.parametrize("case", cases(ANCESTRAL, "final_std"))
def test_golden_moments(case):
    """With a Gaussian's denoiser an update is x' = A x + B + S z. The code is run on x = 0, 1 and
    z = 0, 1 to read off A, B, S, which carry the exact mean and variance from N(0, 1) down."""
    inputs = case["inputs"]
    schedule, sampler = schedule_of(inputs), sampler_of(inputs)
    denoise = gaussian(schedule, inputs["model"]["m"], inputs["model"]["s"])
    chain = schedule.respaced(grid_of(inputs))
    x = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64).view(3, 1, 1, 1)
    z = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).view(3, 1, 1, 1)
    mean, variance = 0.0, 1.0
    for index in reversed(range(chain.num_timesteps)):
        prediction = denoise(x, chain.timesteps[index].repeat(3))
        B, at_one, at_noise = sampler.update(x, prediction, chain, index, lambda: z).flatten()
        A, S = at_one - B, at_noise - B
        mean, variance = A * mean + B, A**2 * variance + S**2
    found = torch.stack([mean, variance.sqrt()])
    expected = torch.tensor(
        [case["outputs"]["final_mean"], case["outputs"]["final_std"]], dtype=torch.float64
    )
    torch.testing.assert_close(found, expected, **ANCESTRAL["tolerance"]["float64"])


# convergence and known distributions


@pytest.mark.parametrize("case", cases(DDIM_CASES, "observed_order_common_grid"))
def test_ddim_converges_to_the_ode_with_order_one(case):
    """(x_t - a m) / sqrt(D2) is constant along the exact trajectory."""
    inputs, outputs = case["inputs"], case["outputs"]
    schedule, std = schedule_of(inputs), inputs["model"]["s"]
    m, x_T = (torch.tensor(v, dtype=torch.float64) for v in (inputs["model"]["m"], inputs["x_T"]))

    def spread(ac: Tensor) -> Tensor:
        return (ac * std**2 + 1 - ac).sqrt()

    start = schedule.alphas_cumprod[-1]
    exact = m + std * (x_T - start.sqrt() * m) / spread(start)
    errors = []
    for num_steps in inputs["num_steps"]:
        grid = timestep_grid(schedule.num_timesteps, num_steps, inputs["spacing"])
        x_0 = final(gaussian(schedule, m, std), schedule, DDIM(), grid, x_T, no_noise)
        errors.append(float((x_0 - exact).abs().max()))
    assert errors == pytest.approx(outputs["max_abs_error_final"], rel=1e-6)
    errors = torch.tensor(errors)
    orders = (errors[:-1] / errors[1:]).log2()
    assert ((orders > 0.9) & (orders < 1.1)).all()


@pytest.mark.parametrize("sampler", [DDPM(), DDPM("fixed_large"), DDIM(0.0), DDIM(1.0)])
def test_samples_of_a_gaussian_have_its_moments(sampler):
    schedule, mean, std, count = NoiseSchedule.cosine(1000), 0.3, 0.5, 20_000
    noise = standard_normal((count, 1, 1, 1), seed=0)
    grid = timestep_grid(1000, 500)
    x = final(gaussian(schedule, mean, std), schedule, sampler, grid, noise(), noise)
    # four standard errors, and the bias of 500 steps, which is below 1%
    assert float(x.mean()) == pytest.approx(mean, abs=4 * std / count**0.5)
    assert float(x.std()) == pytest.approx(std, abs=4 * std / (2 * count) ** 0.5 + 0.01 * std)


class TestPoints:
    WHERE = torch.tensor([-0.8, 0.1, 0.9], dtype=torch.float64)
    WEIGHTS = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)

    def draw(self, sampler, num_steps: int, count: int) -> Tensor:
        schedule = NoiseSchedule.cosine(1000)
        noise = standard_normal((count, 1, 1, 1), seed=1)
        denoise = points(schedule, self.WHERE, self.WEIGHTS)
        grid = timestep_grid(1000, num_steps)
        return final(denoise, schedule, sampler, grid, noise(), noise)

    @pytest.mark.parametrize("sampler", [DDPM("fixed_small"), DDPM("fixed_large"), DDIM(1.0)])
    def test_all_samples_land_on_points(self, sampler):
        x = self.draw(sampler, num_steps=100, count=2000)
        assert float((x - self.WHERE).abs().amin(-1).max()) < 1e-6

    def test_each_point_is_drawn_as_often_as_it_should(self):
        x = self.draw(DDPM("fixed_small"), num_steps=1000, count=4000)
        drawn = (x - self.WHERE).abs().argmin(-1).flatten().bincount(minlength=3) / len(x)
        standard_error = (self.WEIGHTS * (1 - self.WEIGHTS) / len(x)).sqrt()
        assert ((drawn - self.WEIGHTS).abs() < 4 * standard_error + 0.005).all()


@settings(max_examples=50)
@given(st.data(), st.sampled_from(["linear", "cosine"]), st.integers(1, 20), st.integers(0, 2**31))
def test_ddim_at_eta_1_equals_ddpm_with_fixed_small(data, name, num_steps, seed):
    schedule = NoiseSchedule.from_config(ScheduleConfig(name=name, num_timesteps=200))
    chain = schedule.respaced(timestep_grid(200, num_steps))
    index = data.draw(st.integers(0, num_steps - 1))
    normal = standard_normal((2, 1, 2, 2), seed)
    x_t, eps, z = normal(), normal(), normal()
    prediction = from_eps(schedule, eps, x_t, chain.timesteps[index].repeat(2))
    one = DDIM(1.0).update(x_t, prediction, chain, index, lambda: z)
    other = DDPM("fixed_small").update(x_t, prediction, chain, index, lambda: z)
    torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-9)


# the loop


@pytest.mark.parametrize("sampler", [DDPM(), DDPM("fixed_large"), DDIM(0.5), DDIM(1.0)])
def test_the_last_step_draws_no_noise(sampler):
    schedule = NoiseSchedule.linear(100)
    draws = []

    def noise() -> Tensor:
        draws.append(1)
        return torch.zeros(1, 1, 1, 1)

    x_T, grid = torch.ones(1, 1, 1, 1), timestep_grid(100, 5)
    per_step = [
        len(draws)
        for _ in sample(gaussian(schedule, 0.3, 0.5), schedule, sampler, grid, x_T, noise)
    ]
    assert per_step == [1, 2, 3, 4, 4]


@pytest.mark.parametrize("sampler", [DDPM(), DDIM(0.0), DDIM(1.0)])
def test_the_last_step_returns_x_0_hat(sampler):
    schedule, x_T = NoiseSchedule.linear(100), torch.ones(1, 1, 1, 1, dtype=torch.float64)
    denoise = gaussian(schedule, 0.3, 0.5)
    noise = standard_normal((1, 1, 1, 1), seed=0)
    *_, last = sample(denoise, schedule, sampler, timestep_grid(100, 5), x_T, noise)
    torch.testing.assert_close(last.x, last.prediction.x_0)


def test_the_network_sees_the_timesteps_of_the_grid_descending():
    schedule, seen = NoiseSchedule.linear(100), []

    def denoise(x_t: Tensor, timestep: Tensor) -> Prediction:
        seen.append(timestep.tolist())
        return Prediction(x_0=x_t, eps=x_t)

    x_T = torch.zeros(2, 1, 1, 1)
    steps = list(sample(denoise, schedule, DDIM(), torch.tensor([3, 50, 99]), x_T, no_noise))
    assert seen == [[99, 99], [50, 50], [3, 3]]
    assert [(step.index, step.timestep) for step in steps] == [(2, 99), (1, 50), (0, 3)]


def test_sampling_records_no_gradient():
    schedule, weight = NoiseSchedule.linear(10), torch.ones((), requires_grad=True)

    def denoise(x_t: Tensor, timestep: Tensor) -> Prediction:
        return Prediction(x_0=weight * x_t, eps=weight * x_t)

    x_T = torch.ones(1, 1, 1, 1)
    assert not final(denoise, schedule, DDIM(), timestep_grid(10, 2), x_T, no_noise).requires_grad


# noise per image


def test_image_k_has_the_same_noise_at_every_batch_size():
    seeds = [(7, k) for k in range(5)]
    together = ImageNoise(seeds, (3, 4, 4))
    draws = [together(), together()]
    for k, seed in enumerate(seeds):
        alone = ImageNoise([seed], (3, 4, 4))
        for draw in draws:
            assert torch.equal(alone()[0], draw[k])


def test_images_seeds_and_draws_have_different_noise():
    noise = ImageNoise([(0, 0), (0, 1), (1, 0)], (1, 4, 4))
    draws = torch.cat([noise(), noise()])
    assert len({tuple(draw.flatten().tolist()) for draw in draws}) == 6


def test_noise_is_standard_normal():
    values = ImageNoise([(0, k) for k in range(100)], (1, 32, 32))().flatten()
    assert float(values.mean()) == pytest.approx(0, abs=4 / len(values) ** 0.5)
    assert float(values.std()) == pytest.approx(1, abs=4 / (2 * len(values)) ** 0.5)
