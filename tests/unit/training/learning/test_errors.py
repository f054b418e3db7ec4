"""Denoisers whose errors are known: the mean, the exact one of Gaussian data, the truth."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from tests.helpers.exact import gaussian
from textdiff.diffusion import NoiseSchedule
from textdiff.diffusion.prediction import target
from textdiff.pictures import PixelCodec
from textdiff.training.learning.errors import Errors, denoise_quarters, losses_and_errors
from textdiff.training.learning.probe import Denoised, FixedNoise, Probe
from textdiff.training.learning.references import PixelStatistics, single_gaussian_pixels
from textdiff.training.tasks.diffusion import DiffusionTask
from textdiff.types import Conditioning

SCHEDULE = NoiseSchedule.cosine(100)
MEAN, STD, SIDE = 0.1, 0.2, 8


def probe_of(x_0: torch.Tensor) -> Probe:
    """Of pictures that `denoise` below takes as they are."""
    return Probe(x_0, [""] * len(x_0))


def gaussian_pictures(count: int = 100) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    return MEAN + STD * torch.randn(count, 3, SIDE, SIDE, generator=rng)


def errors_of(x_0: torch.Tensor, guess) -> Errors | None:
    """guess: (x_0, x_t, timestep) -> x_0_hat."""

    def denoise(images, draws, _conditioning) -> Denoised:
        x_t = SCHEDULE.add_noise(images, draws.eps, draws.timestep)
        x_0_hat = guess(images, x_t, draws.timestep)
        return Denoised(torch.zeros(len(images)), images, x_t, draws.timestep, x_0_hat)

    probe, nothing = probe_of(x_0), Conditioning(torch.zeros(len(x_0), 1, 1))
    noise = FixedNoise(0, tuple(x_0.shape[1:]), SCHEDULE.num_timesteps)
    _, errors = losses_and_errors(
        denoise_quarters(denoise, probe, nothing, noise),
        PixelStatistics.of([x_0]),
        lambda *given: single_gaussian_pixels(SCHEDULE, *given),
    )
    return errors


def test_a_denoiser_that_returns_the_mean_is_no_nearer_than_the_mean():
    x_0 = gaussian_pictures()
    mean = PixelStatistics.of([x_0]).mean
    errors = errors_of(x_0, lambda images, _x_t, _t: mean.expand_as(images))
    assert errors.below_mean == 0
    assert errors.below_mean_noisiest == 0
    assert errors.network == (errors.mean_picture,) * 4
    assert errors.mean_picture == pytest.approx(x_0.var(0, correction=0).mean().item(), rel=1e-5)


def test_the_exact_denoiser_of_gaussian_data_gets_the_floor():
    exact = gaussian(SCHEDULE, MEAN, STD)
    errors = errors_of(gaussian_pictures(), lambda _x_0, x_t, t: exact(x_t, t).x_0)
    assert errors.network == pytest.approx(errors.single_pixels, rel=0.03)
    assert errors.below_single_pixels == pytest.approx(0, abs=0.03)
    assert errors.below_mean_noisiest == pytest.approx(0, abs=0.03)  # nothing but noise is left
    assert errors.below_mean > 0.1


def test_whoever_knows_the_picture_has_no_error():
    errors = errors_of(gaussian_pictures(8), lambda x_0, _x_t, _t: x_0)
    assert errors.below_mean == errors.below_single_pixels == 1


def test_what_is_farther_than_the_mean_is_below_zero():
    errors = errors_of(gaussian_pictures(8), lambda x_0, _x_t, _t: x_0 + 1)
    assert errors.below_mean_noisiest < -1


def test_nothing_is_said_of_pictures_that_are_all_the_same():
    same = torch.full((4, 3, SIDE, SIDE), 0.5)
    assert errors_of(same, lambda x_0, _x_t, _t: x_0) is None


def test_nothing_is_said_where_something_else_than_x_0_is_predicted():
    assert errors_of(gaussian_pictures(4), lambda _x_0, _x_t, _t: None) is None


def test_values_are_read_back():
    errors = Errors((0.1, 0.2, 0.3, 0.4), (0.2, 0.3, 0.4, 0.5), 0.6)
    values = errors.values("held_out")
    assert Errors.read(values, "held_out") == errors
    assert Errors.read(values, "training") is None
    assert values["held_out/below_mean_q4"] == pytest.approx(1 - 0.4 / 0.6)


@pytest.mark.parametrize("prediction", ["eps", "x_0", "v", "mean"])
def test_every_prediction_is_judged_by_the_same_x_0_hat(prediction):
    """Networks that say in their way that every picture is one and the same grey."""
    grey, codec = torch.tensor(0.25), PixelCodec(SIDE)

    def network(_conditioning):
        def output(x_t, timestep):
            x_0 = grey.double().expand_as(x_t)
            a, b = (SCHEDULE.at(name, timestep, x_0) for name in ("signal", "noise"))
            return target(prediction, SCHEDULE, x_0, (x_t.double() - a * x_0) / b, timestep)

        return output

    pipe = SimpleNamespace(
        schedule=SCHEDULE,
        codec=codec,
        network=network,
        device=torch.device("cpu"),
        config=SimpleNamespace(prediction=prediction),
    )
    task = DiffusionTask(pipe=pipe, embed=None, seed=0, caption_drop=0.0)
    images = torch.randint(0, 256, (6, 3, SIDE, SIDE), dtype=torch.uint8)
    noise = FixedNoise(0, codec.shape, SCHEDULE.num_timesteps)
    found = task.denoised(images, noise.in_quarter(1, 6), None)
    torch.testing.assert_close(found.x_0_hat.float(), grey.expand(6, 3, SIDE, SIDE))
    torch.testing.assert_close(found.x_0, codec.encode(images))
