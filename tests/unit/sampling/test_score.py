"""The score form: what it leaves alone, how its shift compares to the mean's, zero terminal SNR."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.helpers.exact import final, gaussian, no_noise, standard_normal
from tests.helpers.golden import golden, schedule_of
from textdiff.diffusion import NoiseSchedule, from_eps
from textdiff.guidance import at_x_0
from textdiff.sampling import DDIM, DDPM, DPMSolverPP, UniPC, invert, sample, timestep_grid
from textdiff.sampling.score import score_form, score_forms
from textdiff.types import Prediction

CASE = golden("guidance")["by_id"]["shift_ratio_respaced_N10"]
NORMAL = standard_normal((2, 1, 2, 2), seed=0)
X_T, EPS, GRADIENT = NORMAL(), NORMAL(), NORMAL()
COSINE = NoiseSchedule.cosine(1000)
TERMINAL = COSINE.with_zero_terminal_snr()
SAMPLERS = [DDPM(), DDIM(), DDIM(1.0), DPMSolverPP(), DPMSolverPP(sde=True), UniPC()]


def guided(schedule: NoiseSchedule, gradient: Tensor | None = GRADIENT):
    def denoise(x_t: Tensor, timestep: Tensor) -> Prediction:
        return replace(gaussian(schedule, 0.3, 0.5)(x_t, timestep), gradient=gradient)

    return denoise


@pytest.mark.parametrize(
    ("variance", "ratios"),
    [
        ("fixed_large", CASE["outputs"]["ratio_fixed_large"][1:]),
        ("fixed_small", CASE["outputs"]["ratio_fixed_small_from_second"]),
    ],
)
def test_golden_ratio_of_the_shifts(variance, ratios):
    """Of the posterior mean: by the score form, over that of the ancestral sampler."""
    schedule, expected = schedule_of(CASE["inputs"]), CASE["outputs"]
    chain = schedule.respaced(torch.tensor(expected["timesteps_ascending"]))
    found = []
    for index in range(1, 10):
        step = torch.tensor([index, index])
        said = from_eps(chain, EPS, X_T, step)
        pushed = replace(said, gradient=GRADIENT)
        mean, _ = chain.posterior(said.x_0, X_T, step)
        by_score, _ = chain.posterior(score_form(pushed, chain, index).x_0, X_T, step)
        by_mean = DDPM(variance).update(X_T, [pushed], chain, index, lambda: torch.zeros(1))
        ratio = (by_score - mean) / (by_mean - mean)
        found.append(float(ratio.mean()))
        assert float(ratio.std()) < 1e-6
    assert found == pytest.approx(ratios, rel=1e-8)


def test_without_a_gradient_nothing_changes():
    said = Prediction(X_T, EPS)
    assert score_form(said, COSINE, 5) is said


def test_x_0_and_eps_still_make_x_t():
    timestep = torch.tensor([500, 500])
    said = score_form(replace(from_eps(COSINE, EPS, X_T, timestep), gradient=GRADIENT), COSINE, 500)
    torch.testing.assert_close(COSINE.add_noise(said.x_0, said.eps, timestep), X_T)


def test_each_of_several_predictions_is_taken_at_its_own_step():
    said = [Prediction(X_T, EPS, gradient=GRADIENT)] * 3
    found = score_forms(said, COSINE, 100)
    for prediction, index in zip(found, (102, 101, 100), strict=True):
        assert torch.equal(prediction.x_0, score_form(said[0], COSINE, index).x_0)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
def test_every_sampler_follows_the_gradient(sampler):
    grid = timestep_grid(COSINE, 20)
    plain, up, down = (
        final(guided(COSINE, g), COSINE, sampler, grid, X_T, standard_normal(X_T.shape, seed=1))
        for g in (None, torch.full_like(X_T, 0.1), torch.full_like(X_T, -0.1))
    )
    assert (up > plain).all()
    assert (down < plain).all()


@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
def test_a_gradient_of_0_changes_nothing(sampler):
    grid = timestep_grid(COSINE, 7)
    found, expected = (
        final(guided(COSINE, g), COSINE, sampler, grid, X_T, standard_normal(X_T.shape, seed=1))
        for g in (torch.zeros_like(X_T), None)
    )
    assert torch.equal(found, expected)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
def test_zero_terminal_snr_stays_finite_and_unguided_at_pure_noise(sampler):
    grid, noise = timestep_grid(TERMINAL, 5), standard_normal(X_T.shape, seed=1)
    steps = list(sample(guided(TERMINAL), TERMINAL, sampler, grid, X_T, noise))
    assert all(step.x_t.isfinite().all() for step in steps)
    said = guided(TERMINAL)(X_T, torch.tensor([999, 999]))
    assert torch.equal(score_form(said, TERMINAL, 999).x_0, said.x_0)


def test_the_last_ancestral_step_has_no_variance_to_move_in():
    said = Prediction(X_T, EPS, gradient=GRADIENT)
    assert torch.equal(DDPM().update(X_T, [said], COSINE, 0, no_noise), X_T)


def test_inversion_returns_with_the_gradient_on():
    """The gradient of a linear reward makes both ways those of the tilted Gaussian."""
    grid, x_0 = timestep_grid(COSINE, 20), 0.3 * X_T
    pushed = at_x_0(gaussian(COSINE, 0.3, 0.5), COSINE, lambda x, t: x.sum((1, 2, 3)), 0.8)
    tilted = gaussian(COSINE, 0.3 + 0.8 * 0.5**2, 0.5)
    found, expected = (list(invert(denoise, COSINE, grid, x_0)) for denoise in (pushed, tilted))
    for step, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(step.x_t, wanted.x_t)
