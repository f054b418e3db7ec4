"""Predictions: golden conversions among eps, x_0 and v, their round trip, and clipping."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.golden import golden
from textdiff.diffusion import NoiseSchedule, ScheduleConfig, from_eps
from textdiff.diffusion.prediction import from_v, from_x_0, target

OBJECTIVES = golden("objectives")
CONVERSIONS = [case for case in OBJECTIVES["cases"] if case["id"].startswith("convert_")]


def schedule_of(name: str, num_timesteps: int = 1000) -> NoiseSchedule:
    return NoiseSchedule.from_config(ScheduleConfig(name=name, num_timesteps=num_timesteps))


def golden_tensors(case: dict, dtype: str, *names: str) -> list[torch.Tensor]:
    values = {**case["inputs"], **case["outputs"]}
    return [torch.tensor(values[name], dtype=getattr(torch, dtype)) for name in names]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("function", "output", "estimate"),
    [
        (from_eps, "eps_hat", "x_0_hat"),
        (from_x_0, "x_0_hat", "eps_hat"),
        (from_v, "v_hat", "x_0_hat"),
        (from_v, "v_hat", "eps_hat"),
    ],
)
@pytest.mark.parametrize("case", CONVERSIONS, ids=lambda case: case["id"])
def test_golden_conversion(case, function, output, estimate, dtype):
    given, x_t, expected = golden_tensors(case, dtype, output, "x_t", estimate)
    schedule, t = schedule_of(case["inputs"]["schedule"]), case["inputs"]["timestep"]
    prediction = function(schedule, given, x_t, torch.full((len(x_t),), t))
    found = getattr(prediction, estimate.removesuffix("_hat"))
    torch.testing.assert_close(found, expected, **OBJECTIVES["tolerance"][dtype])


@pytest.mark.parametrize("prediction", ["eps", "v"])
@pytest.mark.parametrize("case", CONVERSIONS, ids=lambda case: case["id"])
def test_golden_target(case, prediction):
    x_0, eps, expected = golden_tensors(case, "float64", "x_0", "eps", prediction)
    timestep = torch.full((len(x_0),), case["inputs"]["timestep"])
    found = target(prediction, schedule_of(case["inputs"]["schedule"]), x_0, eps, timestep)
    torch.testing.assert_close(found, expected, **OBJECTIVES["tolerance"]["float64"])


@pytest.mark.parametrize("case", CONVERSIONS, ids=lambda case: case["id"])
def test_golden_posterior_mean_of_eps(case):
    """By way of x_0_hat; the golden number is that of the direct formula too."""
    eps, x_t, expected = golden_tensors(case, "float64", "eps_hat", "x_t", "mean_hat")
    schedule = schedule_of(case["inputs"]["schedule"])
    timestep = torch.full((len(x_t),), case["inputs"]["timestep"])
    mean, _ = schedule.posterior(from_eps(schedule, eps, x_t, timestep).x_0, x_t, timestep)
    torch.testing.assert_close(mean, expected, **OBJECTIVES["tolerance"]["float64"])


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
    again = from_x_0(schedule, x_0, x_t, timestep).eps
    torch.testing.assert_close(again, eps, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(schedule.add_noise(x_0, eps, timestep), x_t, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("function", [from_eps, from_x_0, from_v])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_kept(function, dtype):
    x = torch.ones(1, 1, 2, 2, dtype=dtype)
    prediction = function(NoiseSchedule.linear(10), x, x, torch.tensor([5]))
    assert (prediction.x_0.dtype, prediction.eps.dtype) == (dtype, dtype)
