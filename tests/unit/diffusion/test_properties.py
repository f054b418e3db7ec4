"""What holds for every schedule and timestep, agreement with diffusers, and refused settings."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler
from diffusers.schedulers.scheduling_ddim import rescale_zero_terminal_snr
from hypothesis import given
from hypothesis import strategies as st

from textdiff.config import build
from textdiff.diffusion import NoiseSchedule, ScheduleConfig
from textdiff.diffusion.prediction import FROM_OUTPUT, target
from textdiff.diffusion.variance import log_variance, variance_mix
from textdiff.errors import UsageError
from textdiff.types import Prediction

NAMES = ("linear", "cosine", "scaled_linear")
KINDS = list(FROM_OUTPUT)
HALVES = [torch.float16, torch.bfloat16]
ROUNDING = 16 * torch.finfo(torch.float64).eps  # of a few float64 operations on numbers near 1
SHAPE = (1, 1, 4, 4)

betas = st.lists(st.floats(1e-6, 0.999), min_size=1, max_size=20)
seeds = st.integers(0, 2**31)


def schedule_of(name: str, num_timesteps: int, zero_terminal_snr: bool = False) -> NoiseSchedule:
    return NoiseSchedule.from_config(
        ScheduleConfig(name=name, num_timesteps=num_timesteps, zero_terminal_snr=zero_terminal_snr)
    )


@st.composite
def schedules(draw, zero_terminal_snr: bool = True) -> NoiseSchedule:
    """Of every kind, with 1 to 1000 steps; some end in pure noise where that is allowed."""
    name = draw(st.sampled_from([*NAMES, "explicit"]))
    if name == "explicit":
        schedule = NoiseSchedule(torch.tensor(draw(betas), dtype=torch.float64))
    else:
        schedule = schedule_of(name, draw(st.sampled_from([1, 2, 1000]) | st.integers(3, 200)))
    if zero_terminal_snr and schedule.num_timesteps > 1 and draw(st.booleans()):
        return schedule.with_zero_terminal_snr()
    return schedule


def any_timestep(data: st.DataObject, schedule: NoiseSchedule) -> torch.Tensor:
    return torch.tensor([data.draw(st.integers(0, schedule.num_timesteps - 1), label="t")])


def pictures(seed: int, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """x_0 in [-1, 1] and eps, which stays within 5 or so."""
    rng = torch.Generator().manual_seed(seed)
    x_0 = torch.rand(SHAPE, generator=rng, dtype=torch.float64) * 2 - 1
    return x_0.to(dtype), torch.randn(SHAPE, generator=rng, dtype=torch.float64).to(dtype)


# Conversions


def rounding_of(kind: str, schedule: NoiseSchedule, timestep: torch.Tensor) -> tuple[float, float]:
    """How far x_0 and eps may be off. What rounding leaves in x_t, or in the mean, is divided by
    the factor with which x_0 entered, and on its way to eps by b."""
    like = torch.zeros(SHAPE, dtype=torch.float64)
    a, b, c = (
        schedule.at(table, timestep, like).item() for table in ("signal", "noise", "posterior_x_0")
    )
    scale = 5 * ROUNDING
    if kind == "v":
        return scale, scale
    x_0 = {"eps": scale / a if a else math.inf, "x_0": 0.0, "mean": scale / c}[kind]
    return x_0, 0.0 if kind == "eps" else (scale + a * x_0) / b


@pytest.mark.parametrize("kind", KINDS)
@given(st.data(), seeds)
def test_a_network_that_hits_its_target_knows_x_0_and_eps(kind, data, seed):
    schedule = data.draw(schedules(zero_terminal_snr=kind != "eps"))
    timestep, (x_0, eps) = any_timestep(data, schedule), pictures(seed)
    x_t = schedule.add_noise(x_0, eps, timestep)
    output = target(kind, schedule, x_0, eps, timestep)
    found = FROM_OUTPUT[kind](schedule, output, x_t, timestep)
    x_0_off, eps_off = rounding_of(kind, schedule, timestep)
    torch.testing.assert_close(found.x_0, x_0, rtol=0, atol=x_0_off)
    torch.testing.assert_close(found.eps, eps, rtol=0, atol=eps_off)


@pytest.mark.parametrize("kind", KINDS)
@given(st.data(), seeds)
def test_x_0_and_eps_make_up_x_t_whatever_the_network_says(kind, data, seed):
    schedule = data.draw(schedules(zero_terminal_snr=kind != "eps"))
    timestep, (output, x_t) = any_timestep(data, schedule), pictures(seed)
    found = FROM_OUTPUT[kind](schedule, output, x_t, timestep)
    noise = schedule.at("noise", timestep, x_t) * found.eps
    again = schedule.add_noise(found.x_0, found.eps, timestep)
    size = max(1.0, float(noise.abs().max()), float(x_t.abs().max()))
    torch.testing.assert_close(again, x_t, rtol=0, atol=ROUNDING * size)


@pytest.mark.parametrize("kind", ["x_0", "v", "mean"])
@pytest.mark.parametrize("name", NAMES)
def test_pure_noise_still_gives_back_x_0(name, kind):
    schedule, (x_0, eps) = schedule_of(name, 1000, zero_terminal_snr=True), pictures(0)
    last = torch.tensor([999])
    x_t = schedule.add_noise(x_0, eps, last)
    assert torch.equal(x_t, eps)
    output = target(kind, schedule, x_0, eps, last)
    found = FROM_OUTPUT[kind](schedule, output, x_t, last)
    torch.testing.assert_close(found.x_0, x_0)
    torch.testing.assert_close(found.eps, eps)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("zero_terminal_snr", [False, True])
def test_half_precision_stays_finite_at_every_timestep(name, kind, dtype, zero_terminal_snr):
    schedule, (x_0, eps) = schedule_of(name, 1000, zero_terminal_snr), pictures(0, dtype)
    informative = 999 if kind == "eps" and zero_terminal_snr else 1000  # eps says nothing at 999
    timestep = torch.arange(informative)
    x_0, eps = x_0.expand(informative, -1, -1, -1), eps.expand(informative, -1, -1, -1)
    x_t = schedule.add_noise(x_0, eps, timestep)
    output = target(kind, schedule, x_0, eps, timestep)
    found = FROM_OUTPUT[kind](schedule, output, x_t, timestep)
    mean, variance = schedule.posterior(found.x_0, x_t, timestep)
    for result in (x_t, output, found.x_0, found.eps, mean, variance):
        assert result.dtype == dtype
        assert result.isfinite().all()


# Schedules


@given(schedules())
def test_posterior_variance_is_never_negative_nor_above_beta(schedule):
    variance = schedule.posterior_variance
    assert variance[0] == 0
    assert (variance >= 0).all()
    assert (variance <= schedule.betas + ROUNDING).all()


@given(schedules())
def test_snr_falls_strictly(schedule):
    assert (schedule.snr.diff() < 0).all()


@given(schedules())
def test_no_table_holds_nan(schedule):
    tables = ("betas", "alphas_cumprod", "snr", "half_log_snr", "posterior_variance", "log_betas")
    logarithms = ("posterior_log_variance_clipped", "large_log_variance")
    for table in (*tables, *logarithms):
        values = getattr(schedule, table)
        assert values.shape == (schedule.num_timesteps,), table
        assert not values.isnan().any(), table
    assert all(getattr(schedule, table).isfinite().all() for table in logarithms)


@given(schedules(), st.data())
def test_respacing_keeps_alphas_cumprod(schedule, data):
    """beta' = 1 - ratio is off by a rounding of 1, which weighs more the smaller the ratio is."""
    visited = sorted(
        data.draw(st.sets(st.integers(0, schedule.num_timesteps - 1), min_size=1, max_size=30))
    )
    expected = schedule.alphas_cumprod[visited]
    ratio = expected / torch.cat([torch.ones(1), expected[:-1]])
    growth = (1 + ROUNDING / ratio).cumprod(0)
    found = schedule.respaced(visited).alphas_cumprod
    off = torch.where(expected == 0, 0.0, expected * (growth - 1))
    assert ((found - expected).abs() <= off).all()


@given(schedules())
def test_respacing_to_all_timesteps_changes_nothing(schedule):
    chain = schedule.respaced(torch.arange(schedule.num_timesteps))
    assert torch.equal(chain.timesteps, schedule.timesteps)
    torch.testing.assert_close(chain.betas, schedule.betas, rtol=0, atol=ROUNDING)
    assert (chain.betas[-1] == 1) == (schedule.betas[-1] == 1)


@given(schedules(zero_terminal_snr=False))
def test_zero_terminal_snr_keeps_the_first_step_and_ends_in_noise(schedule):
    if schedule.num_timesteps == 1:
        with pytest.raises(ValueError, match="needs T >= 2"):
            schedule.with_zero_terminal_snr()
        return
    rescaled = schedule.with_zero_terminal_snr()
    torch.testing.assert_close(rescaled.alphas_cumprod[0], schedule.alphas_cumprod[0])
    assert (rescaled.alphas_cumprod[-1], rescaled.betas[-1]) == (0, 1)


# Variances


def predicting(v: torch.Tensor | None, dtype: torch.dtype = torch.float64) -> Prediction:
    x = torch.zeros(SHAPE, dtype=dtype)
    return Prediction(x_0=x, eps=x, variance_mix=v)


@pytest.mark.parametrize(
    ("raw", "table"), [(-1, "posterior_log_variance_clipped"), (1, "log_betas")]
)
@given(st.data(), schedules())
def test_learned_variance_ends_at_beta_tilde_and_beta(raw, table, data, schedule):
    timestep = any_timestep(data, schedule)
    prediction = predicting(variance_mix(torch.full(SHAPE, float(raw), dtype=torch.float64)))
    found = log_variance(schedule, "learned", prediction, timestep)
    torch.testing.assert_close(found, getattr(schedule, table)[timestep].expand(SHAPE))


@given(st.data(), schedules(), st.floats(-1, 1))
def test_learned_variance_lies_between_the_fixed_ones(data, schedule, raw):
    timestep = any_timestep(data, schedule)
    prediction = predicting(variance_mix(torch.full(SHAPE, raw, dtype=torch.float64)))
    found = log_variance(schedule, "learned", prediction, timestep)
    ends = [schedule.posterior_log_variance_clipped[timestep], schedule.log_betas[timestep]]
    assert (found >= torch.minimum(*ends) - 1e-12).all()
    assert (found <= torch.maximum(*ends) + 1e-12).all()


@given(st.data(), schedules())
def test_fixed_variance_is_beta_tilde_or_beta(data, schedule):
    """Where beta_tilde is 0, at the least noisy step, both take that of the next, if any."""
    timestep = any_timestep(data, schedule)
    t = int(timestep)
    if t == 0 and schedule.num_timesteps > 1:
        small = large = schedule.posterior_variance[1]
    else:
        large = schedule.betas[t]
        small = schedule.posterior_variance[t] if t else large
    for variance, expected in (("fixed_small", small), ("fixed_large", large)):
        found = log_variance(schedule, variance, predicting(None), timestep)
        torch.testing.assert_close(found, expected.log().view(1, 1, 1, 1))


def test_learned_variance_of_a_network_without_one_is_refused():
    with pytest.raises(ValueError, match="no learned variance; use fixed_small or fixed_large"):
        log_variance(NoiseSchedule.linear(10), "learned", predicting(None), torch.tensor([3]))


@pytest.mark.parametrize("raw", [-1e9, 1e9])
def test_a_raw_output_far_off_stays_finite(raw):
    schedule, timestep = NoiseSchedule.cosine(1000), torch.arange(1000)
    x = torch.zeros(1000, 1, 1, 1)
    v = variance_mix(torch.full_like(x, raw))
    found = log_variance(schedule, "learned", Prediction(x, x, v), timestep)
    assert found.exp().isfinite().all()


@pytest.mark.parametrize("variance", ["fixed_small", "fixed_large", "learned"])
@pytest.mark.parametrize("dtype", HALVES)
def test_log_variance_keeps_half_precision(dtype, variance):
    prediction = predicting(torch.full(SHAPE, 0.5, dtype=dtype), dtype)
    found = log_variance(NoiseSchedule.cosine(1000), variance, prediction, torch.tensor([999]))
    assert found.dtype == dtype
    assert found.isfinite().all()


# diffusers


@pytest.mark.parametrize(
    ("name", "theirs", "num_timesteps"),
    [
        ("linear", {"beta_schedule": "linear"}, 1000),
        (
            "scaled_linear",
            {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012},
            1000,
        ),
        *(("cosine", {"beta_schedule": "squaredcos_cap_v2"}, T) for T in (1, 2, 50, 1000)),
    ],
)
def test_betas_are_those_of_diffusers(name, theirs, num_timesteps):
    expected = DDPMScheduler(num_train_timesteps=num_timesteps, **theirs).betas.double()
    found = schedule_of(name, num_timesteps).betas
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("num_timesteps", [2, 50, 1000])
@pytest.mark.parametrize("name", NAMES)
def test_zero_terminal_snr_is_that_of_diffusers(name, num_timesteps):
    schedule = schedule_of(name, num_timesteps)
    expected = rescale_zero_terminal_snr(schedule.betas.clone())
    torch.testing.assert_close(
        schedule.with_zero_terminal_snr().betas, expected, rtol=0, atol=1e-12
    )


@pytest.mark.parametrize("name", NAMES)
def test_v_is_the_velocity_of_diffusers(name):
    schedule, timestep = schedule_of(name, 1000), torch.arange(0, 1000, 37)
    x_0, eps = torch.randn(2, len(timestep), 1, 4, 4, generator=torch.Generator().manual_seed(0))
    scheduler = DDPMScheduler(trained_betas=np.asarray(schedule.betas))
    expected = scheduler.get_velocity(x_0, eps, timestep)
    torch.testing.assert_close(
        target("v", schedule, x_0, eps, timestep), expected, rtol=1e-5, atol=1e-5
    )


# Refused settings


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "explicit", "betas": [0.1, 1.5]}, "my.yaml: betas.1: .* less than 1, got 1.5"),
        ({"name": "explicit", "betas": [0.1, 1.0]}, "my.yaml: betas.1: .* less than 1, got 1.0"),
        ({"name": "explicit", "betas": [0, 0.1]}, "my.yaml: betas.0: .* greater than 0, got 0"),
        ({"name": "explicit", "betas": [0.1, -0.1]}, "my.yaml: betas.1: .* greater than 0"),
        ({"name": "explicit", "betas": [math.nan]}, "my.yaml: betas.0: .* finite number"),
        ({"name": "explicit", "betas": ["a"]}, "my.yaml: betas.0: .* valid number"),
        ({"name": "explicit", "betas": 0.1}, "my.yaml: betas: .* valid tuple, got 0.1"),
        ({"name": "explicit"}, "name is explicit and betas are not given"),
        ({"name": "linear", "betas": [0.1]}, "name is linear and betas are given"),
        ({"betas": [0.1]}, "name is cosine and betas are given"),
        (
            {"name": "explicit", "betas": [0.1, 0.2], "num_timesteps": 3},
            "2 betas for num_timesteps 3; ",
        ),
        ({"num_timesteps": 0}, "my.yaml: num_timesteps: .* greater than or equal to 1, got 0"),
        ({"num_timesteps": 1, "zero_terminal_snr": True}, "needs num_timesteps of 2 or more"),
        ({"name": "sigmoid"}, "my.yaml: name: .* 'linear', 'cosine', .*, got 'sigmoid'"),
    ],
)
def test_bad_settings_get_one_line_with_cause_and_place(settings, message):
    with pytest.raises(UsageError, match=message) as refused:
        build(ScheduleConfig, [("my.yaml", settings)])
    assert "\n" not in str(refused.value)


def test_explicit_betas_say_how_many_there_are():
    config = build(ScheduleConfig, [("my.yaml", {"name": "explicit", "betas": [0.1, 0.2, 0.3]})])
    assert config.num_timesteps == 3
    expected = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64)
    assert torch.equal(NoiseSchedule.from_config(config).betas, expected)
