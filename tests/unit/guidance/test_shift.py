"""How far a gradient may go: its size in noise, limits, and a scale that would diverge."""

from __future__ import annotations

import logging

import pytest
import torch
from torch import Tensor

from tests.helpers.exact import standard_normal
from textdiff.diffusion import NoiseSchedule
from textdiff.guidance.shift import DIVERGES_FROM, held, limited, normalised, within_deviation
from textdiff.types import Prediction

SCHEDULE = NoiseSchedule.cosine(1000)
X_T = torch.zeros(3, 3, 4, 4, dtype=torch.float64)
TIMESTEP = torch.tensor([20, 500, 980])
DRAWN = standard_normal(X_T.shape, seed=0)()


def saying(gradient: Tensor | None):
    return lambda x_t, timestep: Prediction(x_t, x_t, gradient=gradient)


def size(gradient: Tensor, timestep: Tensor = TIMESTEP) -> list[float]:
    b = SCHEDULE.at("noise", timestep, gradient)
    return (b * gradient).flatten(1).square().mean(1).sqrt().tolist()


def of_size(sizes: list[float]) -> Tensor:
    wanted = torch.tensor(sizes, dtype=torch.float64) / torch.tensor(size(DRAWN))
    return DRAWN * wanted.view(-1, 1, 1, 1)


def test_normalised_keeps_only_the_direction():
    found = normalised(saying(DRAWN), SCHEDULE, 0.3)(X_T, TIMESTEP).gradient
    assert size(found) == pytest.approx([0.3] * 3)
    cosine = torch.cosine_similarity(found.flatten(1), DRAWN.flatten(1))
    assert cosine.tolist() == pytest.approx([1] * 3)


def test_normalised_leaves_a_gradient_of_0():
    assert not normalised(saying(X_T), SCHEDULE, 0.3)(X_T, TIMESTEP).gradient.any()


def test_limited_scales_down_only_what_is_larger():
    found = limited(saying(of_size([0.1, 0.5, 2.0])), SCHEDULE, 0.5)(X_T, TIMESTEP).gradient
    assert size(found) == pytest.approx([0.1, 0.5, 0.5])


def test_x_0_hat_of_latents_moves_by_their_deviation_at_most():
    """Where x_t is nearly all noise, 2e-4 of its size would move x_0_hat by 6."""
    timestep = torch.tensor([20, 500, 999])
    gradient = DRAWN * torch.tensor([0.1, 0.5, 2.3e-4]).view(-1, 1, 1, 1)
    found = within_deviation(saying(gradient), SCHEDULE)(X_T, timestep).gradient
    a, b = (SCHEDULE.at(table, timestep, X_T) for table in ("signal", "noise"))
    moved = (b.square() / a * found).square().mean((1, 2, 3)).sqrt()
    assert torch.equal(found[:2], gradient[:2])
    assert moved[:2].max() < 1 and moved[2] == pytest.approx(1)


def test_bayes_gradient_moves_x_0_hat_within_the_deviation():
    """Of x_0 ~ N(y m, 1 - m^2) in every pixel, y = +1 or -1: deviation 1 in all."""
    mean, timestep = 0.6, torch.arange(0, 1000, 50)
    x_t = standard_normal((len(timestep), 3, 4, 4), seed=1)()
    a, b = (SCHEDULE.at(table, timestep, x_t) for table in ("signal", "noise"))
    variance = a.square() * (1 - mean**2) + b.square()
    x = x_t.requires_grad_()
    centres = [sign * a * mean for sign in (1, -1)]
    likely = [-((x - centre).square() / variance).sum((1, 2, 3)) / 2 for centre in centres]
    reward = torch.stack(likely).log_softmax(0)[0].sum()
    (gradient,) = torch.autograd.grad(reward, x)
    found = within_deviation(saying(gradient), SCHEDULE)(x_t.detach(), timestep).gradient
    kept = (found == gradient).flatten(1).all(1)
    assert kept.float().mean() > 0.9


@pytest.mark.parametrize(
    ("wrapper", "sizes"),
    [(normalised, [1.0]), (limited, [1.0]), (within_deviation, []), (held, [])],
)
def test_without_a_gradient_nothing_changes(wrapper, sizes):
    said = Prediction(X_T, X_T)
    assert wrapper(lambda x_t, timestep: said, SCHEDULE, *sizes)(X_T, TIMESTEP) is said


def test_a_sample_that_stays_is_left_alone_in_silence(caplog):
    gradient = of_size([0.1, 1.0, 0.99 * DIVERGES_FROM])
    assert torch.equal(held(saying(gradient), SCHEDULE)(X_T, TIMESTEP).gradient, gradient)
    assert not caplog.records


def test_a_diverging_sample_is_held_and_its_timestep_named_once(caplog):
    wild = held(saying(of_size([1.0, 4321.0, 1.0])), SCHEDULE)
    assert size(wild(X_T, TIMESTEP).gradient) == pytest.approx([1, DIVERGES_FROM, 1])
    wild(X_T, TIMESTEP)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    message = record.getMessage()
    assert "diverge at timestep 500" in message
    assert "4.32e+03 times the size of the noise, and is held at 10" in message
    assert "clip_guidance_scale" in message


def test_past_the_unet_more_is_let_through_where_noise_prevails(caplog):
    gradient = of_size([1.0, 1.0, 100.0])  # b / a is 32 at timestep 980
    found = held(saying(gradient), SCHEDULE, past_unet=True)(X_T, TIMESTEP).gradient
    assert torch.equal(found, gradient)
    assert not caplog.records


def test_a_sample_that_has_left_is_told_of(caplog):
    x_t = X_T.clone()
    x_t[1] = 30.0
    held(saying(of_size([0.1] * 3)), SCHEDULE)(x_t, TIMESTEP)
    assert "diverge at timestep 500" in caplog.text
    assert "x_t has an rms of 30" in caplog.text


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf, 1e300])
def test_what_is_not_finite_guides_nowhere(bad, caplog):
    gradient = of_size([1.0, 1.0, 1.0])
    gradient[2, 0, 0, 0] = bad
    found = held(saying(gradient), SCHEDULE)(X_T, TIMESTEP).gradient
    assert torch.equal(found[:2], gradient[:2])
    assert not found[2].any()
    assert "timestep 980" in caplog.text
