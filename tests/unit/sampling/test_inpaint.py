"""inpaint: known pixels follow q(x_t | x_0) down to themselves, the others are drawn."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from tests.helpers.exact import final, gaussian, no_noise, standard_normal
from textdiff.diffusion import NoiseSchedule
from textdiff.diffusion.prediction import from_x_0
from textdiff.sampling import DDIM, DDPM, DPMSolverPP, UniPC, sample, timestep_grid
from textdiff.sampling.inpaint import inpaint
from textdiff.types import Prediction

SCHEDULE = NoiseSchedule.cosine(1000)
GRID = timestep_grid(SCHEDULE, 20)
COUNT = 2000
INIT = torch.tensor([0.8, -0.6, 0.1, 0.3], dtype=torch.float64).view(1, 1, 2, 2)
REDRAW = torch.tensor([False, False, True, True]).view(1, 1, 2, 2)
KNOWN = ~REDRAW.expand(COUNT, 1, 2, 2)
SAMPLERS = {
    "ddim": DDIM(),
    "ddim eta 0.5": DDIM(0.5),
    "ddpm": DDPM(),
    "dpmpp": DPMSolverPP(),
    "dpmpp_sde": DPMSolverPP(sde=True),
    "unipc": UniPC(),
}
DATA = gaussian(SCHEDULE, -0.2, 0.3)


def start() -> tuple[Tensor, Tensor, object]:
    """eps, the noised init, and the noise of later steps."""
    noise = standard_normal((COUNT, 1, 2, 2), seed=0)
    eps = noise()
    return eps, SCHEDULE.add_noise(INIT.expand_as(eps), eps, GRID[-1:].expand(COUNT)), noise


def steps(sampler):
    _, x, noise = start()
    return sample(inpaint(DATA, SCHEDULE, INIT, REDRAW), SCHEDULE, sampler, GRID, x, noise)


@pytest.mark.parametrize("name", SAMPLERS)
def test_known_pixels_end_as_they_were(name):
    *_, last = steps(SAMPLERS[name])
    assert torch.equal(last.x_t[KNOWN], INIT.expand(COUNT, 1, 2, 2)[KNOWN])


@pytest.mark.parametrize("name", SAMPLERS)
def test_known_pixels_are_noised_as_the_forward_process_does(name):
    """On arrival at each level: RePaint's eq. 8a, within five standard errors."""
    chain = SCHEDULE.respaced(GRID)
    for step in steps(SAMPLERS[name]):
        ac = float(chain.alphas_cumprod_prev[step.index])
        residual = (step.x_t - ac**0.5 * INIT)[:, 0, 0]  # the two known pixels
        std = (1 - ac) ** 0.5
        assert float(residual.mean().abs()) <= 5 * std / (2 * COUNT) ** 0.5
        assert float(residual.std()) == pytest.approx(std, rel=5 / (4 * COUNT) ** 0.5)


@pytest.mark.parametrize("name", ["ddim", "dpmpp", "unipc"])
def test_deterministic_samplers_keep_the_eps_of_a_known_pixel(name):
    eps, x, _ = start()
    denoise = inpaint(DATA, SCHEDULE, INIT, REDRAW)
    chain = SCHEDULE.respaced(GRID)
    for step in sample(denoise, SCHEDULE, SAMPLERS[name], GRID, x, no_noise):
        ac = float(chain.alphas_cumprod_prev[step.index])
        expected = ac**0.5 * INIT + (1 - ac) ** 0.5 * eps
        torch.testing.assert_close(step.x_t[KNOWN], expected[KNOWN])


@pytest.mark.parametrize("name", SAMPLERS)
def test_pixels_drawn_anew_do_not_see_the_init(name):
    """Where pixels are independent, they come out as without inpainting."""
    _, x, noise = start()
    *_, alone = sample(DATA, SCHEDULE, SAMPLERS[name], GRID, x, noise)
    *_, last = steps(SAMPLERS[name])
    torch.testing.assert_close(last.x_t[~KNOWN], alone.x_t[~KNOWN])


def test_pixels_drawn_anew_follow_the_known_ones():
    """Four pixels share one value ~ N(0, 1); the exact denoiser takes it from their mean."""

    def alike(x_t: Tensor, timestep: Tensor) -> Prediction:
        a, b = (SCHEDULE.at(name, timestep, x_t) for name in ("signal", "noise"))
        x_0 = 4 * a * x_t.mean((1, 2, 3), keepdim=True) / (4 * a**2 + b**2)
        return from_x_0(SCHEDULE, x_0.expand_as(x_t), x_t, timestep)

    noise, fine = standard_normal((50, 1, 2, 2), seed=0), timestep_grid(SCHEDULE, 500)
    init = torch.full((50, 1, 2, 2), 0.7, dtype=torch.float64)
    x = SCHEDULE.add_noise(init, noise(), fine[-1:].expand(50))
    filled = final(inpaint(alike, SCHEDULE, init, REDRAW), SCHEDULE, DDPM(), fine, x, noise)
    torch.testing.assert_close(filled, init, rtol=0, atol=0.1)


def test_learned_variance_is_handed_on():
    mix = torch.rand(1, 1, 2, 2)

    def denoise(x_t: Tensor, timestep: Tensor):
        return replace(DATA(x_t, timestep), variance_mix=mix)

    found = inpaint(denoise, SCHEDULE, INIT, REDRAW)(INIT, torch.tensor([500]))
    assert found.variance_mix is mix


def test_a_gradient_moves_no_known_pixel():
    def pushed(x_t: Tensor, timestep: Tensor) -> Prediction:
        return replace(DATA(x_t, timestep), gradient=torch.ones_like(x_t))

    x_t = torch.zeros(2, 1, 2, 2, dtype=torch.float64)
    found = inpaint(pushed, SCHEDULE, INIT, REDRAW)(x_t, torch.tensor([500, 500])).gradient
    assert torch.equal(found, REDRAW.expand(2, 1, 2, 2).double())
