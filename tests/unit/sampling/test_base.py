"""Samplers against golden trajectories, the loop they share, and the noise of an image."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.helpers.exact import final, gaussian, gaussian_flow, no_noise, standard_normal, with_mix
from tests.helpers.golden import golden, schedule_of
from textdiff.diffusion import NoiseSchedule
from textdiff.diffusion.prediction import from_x_0
from textdiff.sampling import DDIM, DDPM, DPMSolverPP, ImageNoise, UniPC, sample, timestep_grid
from textdiff.sampling.base import Sampler
from textdiff.types import Prediction

ANCESTRAL, DDIM_CASES, DPMPP = golden("ancestral"), golden("ddim"), golden("dpmpp")
DTYPES = {"float64": torch.float64, "float32": torch.float32}
STOCHASTIC = [DDPM(), DDPM("fixed_large"), DDPM("learned"), DDIM(0.5), DDIM(1.0), DPMSolverPP(True)]
DETERMINISTIC = [DDIM(), DPMSolverPP(), UniPC()]


def cases(output: str, *files: dict) -> list:
    """The cases with this output, each with its file's tolerances and the sampler it is of."""

    def sampler(file: dict, inputs: dict) -> Sampler:
        if file is DPMPP:
            return DPMSolverPP()
        return DDIM(inputs.get("eta", 0.0)) if file is DDIM_CASES else DDPM(inputs["variance"])

    return [
        pytest.param(c, sampler(f, c["inputs"]), f["tolerance"], id=f"{f['file'][:-5]} {c['id']}")
        for f in files
        for c in f["cases"]
        if output in c["outputs"]
    ]


def grid_of(inputs: dict) -> Tensor:
    if "timesteps" in inputs:
        return torch.tensor(inputs["timesteps"][::-1])
    return timestep_grid(schedule_of(inputs), inputs["num_steps"], inputs["spacing"])


def listed(noises: list, dtype: torch.dtype) -> Callable[[], Tensor]:
    """Hands out the golden noises in order; more draws than listed fail."""
    left = iter(noises)
    return lambda: torch.tensor(next(left), dtype=dtype)


def golden_run(inputs: dict, sampler: Sampler, dtype=torch.float64) -> Tensor:
    """x after every step of a golden case, noisiest first: (N, B, C, H, W)."""
    schedule = schedule_of(inputs)
    exact = gaussian(schedule, inputs["model"]["m"], inputs["model"]["s"])

    def denoise(x_t: Tensor, timestep: Tensor) -> Prediction:
        said = exact(x_t, timestep)
        if not inputs.get("clip_denoised"):
            return said
        return from_x_0(schedule, said.x_0.clamp(-1, 1), x_t, timestep)

    x_T = torch.tensor(inputs["x_T"], dtype=dtype)
    noise = listed(inputs["noises"], dtype) if "noises" in inputs else no_noise
    return torch.stack(
        [step.x_t for step in sample(denoise, schedule, sampler, grid_of(inputs), x_T, noise)]
    )


# golden trajectories


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("case", "sampler", "tolerance"), cases("x_next", ANCESTRAL, DDIM_CASES, DPMPP)
)
def test_golden_trajectory(case, sampler, tolerance, dtype):
    expected = torch.tensor(case["outputs"]["x_next"], dtype=DTYPES[dtype])
    found = golden_run(case["inputs"], sampler, DTYPES[dtype])
    torch.testing.assert_close(found, expected, **tolerance[dtype])


@pytest.mark.parametrize(
    ("case", "sampler", "tolerance"), cases("ode_exact_final", DDIM_CASES, DPMPP)
)
def test_golden_final_of_long_grids(case, sampler, tolerance):
    expected = torch.tensor(case["outputs"]["final"], dtype=torch.float64)
    found = golden_run(case["inputs"], sampler)[-1]
    torch.testing.assert_close(found, expected, **tolerance["float64"])


@pytest.mark.parametrize(("case", "sampler", "tolerance"), cases("final_std", ANCESTRAL))
def test_golden_moments(case, sampler, tolerance):
    """With a Gaussian's denoiser an update is x' = A x + B + S z. The code is run on x = 0, 1 and
    z = 0, 1 to read off A, B, S, which carry the exact mean and variance from N(0, 1) down."""
    inputs = case["inputs"]
    schedule = schedule_of(inputs)
    denoise = gaussian(schedule, inputs["model"]["m"], inputs["model"]["s"])
    chain = schedule.respaced(grid_of(inputs))
    x = torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64).view(3, 1, 1, 1)
    z = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64).view(3, 1, 1, 1)
    mean, variance = 0.0, 1.0
    for index in reversed(range(chain.num_timesteps)):
        said = denoise(x, chain.timesteps[index].repeat(3))
        B, at_one, at_noise = sampler.update(x, [said], chain, index, lambda: z).flatten()
        A, S = at_one - B, at_noise - B
        mean, variance = A * mean + B, A**2 * variance + S**2
    found = torch.stack([mean, variance.sqrt()])
    expected = torch.tensor(
        [case["outputs"]["final_mean"], case["outputs"]["final_std"]], dtype=torch.float64
    )
    torch.testing.assert_close(found, expected, **tolerance["float64"])


@pytest.mark.parametrize(
    ("case", "sampler", "tolerance"), cases("observed_order_common_grid", DDIM_CASES, DPMPP)
)
def test_golden_errors_against_the_exact_ode(case, sampler, tolerance):
    """At the end, and the largest on arrival at timesteps 899, 799, .. 99, which grids share."""
    inputs, outputs = case["inputs"], case["outputs"]
    schedule, std = schedule_of(inputs), inputs["model"]["s"]
    m, x_T = (torch.tensor(v, dtype=torch.float64) for v in (inputs["model"]["m"], inputs["x_T"]))
    ac, one = schedule.alphas_cumprod, torch.ones((), dtype=torch.float64)
    at_end, on_the_way = [], []
    for num_steps in inputs["num_steps"]:
        grid = timestep_grid(schedule, num_steps, inputs["spacing"])
        states = golden_run({**inputs, "num_steps": num_steps}, sampler)
        reached = dict(zip(grid.flip(0)[1:].tolist(), states, strict=False))
        errors = [
            (reached[t] - gaussian_flow(x_T, ac[-1], ac[t], m, std)).abs().max()
            for t in range(99, 999, 100)
        ]
        at_end.append((states[-1] - gaussian_flow(x_T, ac[-1], one, m, std)).abs().max())
        on_the_way.append(max(errors))
    assert torch.stack(at_end).tolist() == pytest.approx(outputs["max_abs_error_final"], rel=1e-6)
    found = torch.stack(on_the_way)
    assert found.tolist() == pytest.approx(outputs["max_abs_error_common_grid"], rel=1e-6)
    orders = (found[:-1] / found[1:]).log2().tolist()
    assert orders == pytest.approx(outputs["observed_order_common_grid"], rel=1e-5)


# the loop


@pytest.mark.parametrize("sampler", STOCHASTIC, ids=str)
def test_the_last_step_draws_no_noise(sampler):
    schedule = NoiseSchedule.linear(100)
    draws = []

    def noise() -> Tensor:
        draws.append(1)
        return torch.zeros(1, 1, 1, 1)

    x_T, grid = torch.ones(1, 1, 1, 1), timestep_grid(schedule, 5)
    denoise = with_mix(gaussian(schedule, 0.3, 0.5), 0.5)
    per_step = [len(draws) for _ in sample(denoise, schedule, sampler, grid, x_T, noise)]
    assert per_step == [1, 2, 3, 4, 4]


@pytest.mark.parametrize("sampler", DETERMINISTIC, ids=str)
def test_a_deterministic_sampler_draws_no_noise(sampler):
    schedule, x_T = NoiseSchedule.linear(100), torch.ones(1, 1, 1, 1)
    steps = sample(
        gaussian(schedule, 0.3, 0.5), schedule, sampler, timestep_grid(schedule, 5), x_T, no_noise
    )
    assert len(list(steps)) == 5


def test_a_learned_variance_is_asked_of_a_prediction_without_one():
    schedule, x_T = NoiseSchedule.linear(100), torch.ones(1, 1, 1, 1)
    denoise, noise = gaussian(schedule, 0.3, 0.5), standard_normal((1, 1, 1, 1), 0)
    with pytest.raises(ValueError, match="no learned variance; use fixed_small or fixed_large"):
        final(denoise, schedule, DDPM("learned"), timestep_grid(schedule, 5), x_T, noise)


def test_the_network_sees_the_timesteps_of_the_grid_descending():
    schedule, seen = NoiseSchedule.linear(100), []

    def denoise(x_t: Tensor, timestep: Tensor) -> Prediction:
        seen.append(timestep.tolist())
        return Prediction(x_0=x_t, eps=x_t)

    x_T = torch.zeros(2, 1, 1, 1)
    steps = list(sample(denoise, schedule, DDIM(), torch.tensor([3, 50, 99]), x_T, no_noise))
    assert seen == [[99, 99], [50, 50], [3, 3]]
    assert [(step.index, step.timestep) for step in steps] == [(2, 99), (1, 50), (0, 3)]


def test_samplers_get_the_last_three_predictions_newest_last():
    schedule, got = NoiseSchedule.linear(10), []

    def denoise(x_t: Tensor, timestep: Tensor) -> Prediction:
        return Prediction(x_0=timestep, eps=x_t)

    class Recorder:
        def update(self, x_t, predictions, chain, index, noise):
            got.append([int(said.x_0) for said in predictions])
            return x_t

    final(
        denoise, schedule, Recorder(), torch.tensor([2, 5, 7, 9]), torch.ones(1, 1, 1, 1), no_noise
    )
    assert got == [[9], [9, 7], [9, 7, 5], [7, 5, 2]]


def test_sampling_records_no_gradient():
    schedule, weight = NoiseSchedule.linear(10), torch.ones((), requires_grad=True)

    def denoise(x_t: Tensor, timestep: Tensor) -> Prediction:
        return Prediction(x_0=weight * x_t, eps=weight * x_t)

    x_T, grid = torch.ones(1, 1, 1, 1), timestep_grid(schedule, 2)
    assert not final(denoise, schedule, DDIM(), grid, x_T, no_noise).requires_grad


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
