"""Predictions: golden conversions between eps and x_0, their round trip, and clipping."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import golden
from textdiff.diffusion import NoiseSchedule, ScheduleConfig, from_eps
from textdiff.diffusion.prediction import clip_x_0, from_x_0
from textdiff.types import Prediction

OBJECTIVES = golden("objectives")
CONVERSIONS = [case for case in OBJECTIVES["cases"] if case["id"].startswith("convert_")]


def schedule_of(name: str, num_timesteps: int = 1000) -> NoiseSchedule:
    return NoiseSchedule.from_config(ScheduleConfig(name=name, num_timesteps=num_timesteps))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CONVERSIONS, ids=lambda case: case["id"])
class TestGoldenConversion:
    def convert(self, function, source, target, case, dtype):
        """Checks `function` from the estimate `source` to the estimate `target`."""
        inputs, values = case["inputs"], {**case["inputs"], **case["outputs"]}
        given, x_t, expected = (
            torch.tensor(values[name], dtype=getattr(torch, dtype))
            for name in (source, "x_t", target)
        )
        timestep = torch.full((len(x_t),), inputs["timestep"])
        prediction = function(schedule_of(inputs["schedule"]), given, x_t, timestep)
        found = prediction.x_0 if target.startswith("x_0") else prediction.eps
        return found, expected, OBJECTIVES["tolerance"][dtype]

    def test_x_0_of_eps(self, case, dtype):
        found, expected, tolerance = self.convert(from_eps, "eps_hat", "x_0_hat", case, dtype)
        torch.testing.assert_close(found, expected, **tolerance)

    def test_eps_of_x_0(self, case, dtype):
        found, expected, tolerance = self.convert(from_x_0, "x_0_hat", "eps_hat", case, dtype)
        if dtype == "float32":  # x_t - a x_0 cancels: its rounding error is divided by b
            ac = schedule_of(case["inputs"]["schedule"]).alphas_cumprod[case["inputs"]["timestep"]]
            tolerance = {**tolerance, "atol": 2e-7 / float((1 - ac).sqrt()) + tolerance["atol"]}
        torch.testing.assert_close(found, expected, **tolerance)


@pytest.mark.parametrize("case", CONVERSIONS, ids=lambda case: case["id"])
def test_golden_posterior_mean_of_eps(case):
    """By way of x_0_hat; the golden number is that of the direct formula too (SPEC S2.2)."""
    inputs, outputs = case["inputs"], case["outputs"]
    eps, x_t, expected = (
        torch.tensor(value, dtype=torch.float64)
        for value in (inputs["eps_hat"], outputs["x_t"], outputs["mean_hat"])
    )
    schedule = schedule_of(inputs["schedule"])
    timestep = torch.full((len(x_t),), inputs["timestep"])
    mean, _ = schedule.posterior(from_eps(schedule, eps, x_t, timestep).x_0, x_t, timestep)
    torch.testing.assert_close(mean, expected, **OBJECTIVES["tolerance"]["float64"])


@settings(deadline=None)
@given(
    st.sampled_from(["linear", "cosine"]),
    st.integers(1, 1000).flatmap(lambda T: st.tuples(st.just(T), st.integers(0, T - 1))),
    st.integers(0, 2**31),
)
def test_round_trip(name, length_and_timestep, seed):
    num_timesteps, t = length_and_timestep
    schedule, timestep = schedule_of(name, num_timesteps), torch.tensor([t, t])
    rng = torch.Generator().manual_seed(seed)
    eps, x_t = torch.randn(2, 2, 1, 2, 2, generator=rng, dtype=torch.float64)
    x_0 = from_eps(schedule, eps, x_t, timestep).x_0
    # x_0 grows as 1/a, and rounding with it: a is 2e-6 at the end of a cosine of one step
    rounding = 1e-14 * max(1.0, float(x_0.abs().max()))
    torch.testing.assert_close(
        from_x_0(schedule, x_0, x_t, timestep).eps, eps, rtol=1e-9, atol=1e-12 + 100 * rounding
    )
    torch.testing.assert_close(schedule.add_noise(x_0, eps, timestep), x_t, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("function", [from_eps, from_x_0])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_kept(function, dtype):
    x = torch.ones(1, 1, 2, 2, dtype=dtype)
    prediction = function(NoiseSchedule.linear(10), x, x, torch.tensor([5]))
    assert (prediction.x_0.dtype, prediction.eps.dtype) == (dtype, dtype)


class TestClip:
    SCHEDULE, TIMESTEP = NoiseSchedule.linear(1000), torch.tensor([500])

    def clipped(self, x_0: float) -> tuple[Prediction, torch.Tensor]:
        """What clip_x_0 makes of a denoiser that says `x_0` everywhere, and x_t."""
        x_t = torch.full((1, 1, 2, 2), 0.3, dtype=torch.float64)

        def denoise(x_t, timestep):
            return from_x_0(self.SCHEDULE, torch.full_like(x_t, x_0), x_t, timestep)

        return clip_x_0(denoise, self.SCHEDULE)(x_t, self.TIMESTEP), x_t

    @pytest.mark.parametrize(("said", "kept"), [(-3, -1), (-1, -1), (0.5, 0.5), (1.001, 1)])
    def test_x_0_is_kept_in_range(self, said, kept):
        assert (self.clipped(said)[0].x_0 == kept).all()

    def test_eps_agrees_with_the_clipped_x_0(self):
        prediction, x_t = self.clipped(3.0)
        again = self.SCHEDULE.add_noise(prediction.x_0, prediction.eps, self.TIMESTEP)
        torch.testing.assert_close(again, x_t)
