"""From what the network says to what samplers need.

    x_0 = (x_t - b eps) / a = a x_t - b v = (mean - c_t x_t) / c_0
    eps = (x_t - a x_0) / b = b x_t + a v
    v   = a eps - b x_0                           a = sqrt(ac), b = sqrt(1 - ac)

eps is DDPM's prediction (arXiv 2006.11239, section 3.2), v that of progressive distillation
(arXiv 2202.00512, section 4), mean that of q(x_{t-1} | x_t, x_0) = c_0 x_0 + c_t x_t (DDPM eq. 7).
The mean belongs to one step of the full chain; through x_0 it serves every grid.
"""

from __future__ import annotations

from dataclasses import replace

from textdiff.diffusion.config import PredictionType
from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.diffusion.variance import variance_mix
from textdiff.types import Output, Prediction, Samples, Timesteps


def from_eps(
    schedule: NoiseSchedule, eps: Samples, x_t: Samples, timestep: Timesteps
) -> Prediction:
    """The Prediction of a network that outputs eps; both (B, ...), timestep (B,)."""
    a, b = (schedule.at(table, timestep, x_t) for table in ("signal", "noise"))
    return Prediction(x_0=(x_t - b * eps) / a, eps=eps)


def from_x_0(
    schedule: NoiseSchedule, x_0: Samples, x_t: Samples, timestep: Timesteps
) -> Prediction:
    """The Prediction that goes with an x_0."""
    a, b = (schedule.at(table, timestep, x_t) for table in ("signal", "noise"))
    return Prediction(x_0=x_0, eps=(x_t - a * x_0) / b)


def from_v(schedule: NoiseSchedule, v: Samples, x_t: Samples, timestep: Timesteps) -> Prediction:
    """The Prediction of a network that outputs v."""
    a, b = (schedule.at(table, timestep, x_t) for table in ("signal", "noise"))
    return Prediction(x_0=a * x_t - b * v, eps=b * x_t + a * v)


def from_mean(
    schedule: NoiseSchedule, mean: Samples, x_t: Samples, timestep: Timesteps
) -> Prediction:
    """The Prediction of a network that outputs the mean of q(x_{t-1} | x_t, x_0)."""
    on_x_0 = schedule.at("posterior_x_0", timestep, x_t)
    on_x_t = schedule.at("posterior_x_t", timestep, x_t)
    return from_x_0(schedule, (mean - on_x_t * x_t) / on_x_0, x_t, timestep)


FROM_OUTPUT = {"eps": from_eps, "x_0": from_x_0, "v": from_v, "mean": from_mean}


def from_output(
    prediction: PredictionType,
    schedule: NoiseSchedule,
    output: Output,
    x_t: Samples,
    timestep: Timesteps,
) -> Prediction:
    """The Prediction that a network's output (B, C or 2C, ...) stands for; the second C of 2C
    channels are its learned variance. x_t: (B, C, ...)."""
    channels = x_t.shape[1]
    means = FROM_OUTPUT[prediction](schedule, output[:, :channels], x_t, timestep)
    if output.shape[1] == channels:
        return means
    return replace(means, variance_mix=variance_mix(output[:, channels:]))


def target(
    prediction: PredictionType,
    schedule: NoiseSchedule,
    x_0: Samples,
    eps: Samples,
    timestep: Timesteps,
) -> Samples:
    """What a network of this kind should output for x_t = a x_0 + b eps."""
    if prediction == "eps":
        return eps
    if prediction == "x_0":
        return x_0
    if prediction == "mean":
        return schedule.posterior(x_0, schedule.add_noise(x_0, eps, timestep), timestep)[0]
    a, b = (schedule.at(table, timestep, x_0) for table in ("signal", "noise"))
    return a * eps - b * x_0
