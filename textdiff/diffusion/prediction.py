"""From what the network says to what samplers need.

    x_0 = (x_t - b eps) / a = a x_t - b v         eps = (x_t - a x_0) / b = b x_t + a v
    v   = a eps - b x_0                           a = sqrt(ac), b = sqrt(1 - ac)

eps is DDPM's prediction (arXiv 2006.11239, section 3.2), v that of progressive distillation
(arXiv 2202.00512, section 4).
"""

from __future__ import annotations

from textdiff.diffusion.config import PredictionType
from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.types import Denoise, Images, Prediction, Timesteps


def from_eps(schedule: NoiseSchedule, eps: Images, x_t: Images, timestep: Timesteps) -> Prediction:
    """The Prediction of a network that outputs eps; all (B, C, H, W), timestep (B,)."""
    a, b = (schedule.at(table, timestep, x_t) for table in ("signal", "noise"))
    return Prediction(x_0=(x_t - b * eps) / a, eps=eps)


def from_x_0(schedule: NoiseSchedule, x_0: Images, x_t: Images, timestep: Timesteps) -> Prediction:
    """The Prediction that goes with an x_0."""
    a, b = (schedule.at(table, timestep, x_t) for table in ("signal", "noise"))
    return Prediction(x_0=x_0, eps=(x_t - a * x_0) / b)


def from_v(schedule: NoiseSchedule, v: Images, x_t: Images, timestep: Timesteps) -> Prediction:
    """The Prediction of a network that outputs v."""
    a, b = (schedule.at(table, timestep, x_t) for table in ("signal", "noise"))
    return Prediction(x_0=a * x_t - b * v, eps=b * x_t + a * v)


FROM_OUTPUT = {"eps": from_eps, "v": from_v}


def target(
    prediction: PredictionType,
    schedule: NoiseSchedule,
    x_0: Images,
    eps: Images,
    timestep: Timesteps,
) -> Images:
    """What a network of this kind should output for x_t = a x_0 + b eps."""
    if prediction == "eps":
        return eps
    a, b = (schedule.at(table, timestep, x_0) for table in ("signal", "noise"))
    return a * eps - b * x_0


def clip_x_0(denoise: Denoise, schedule: NoiseSchedule) -> Denoise:
    """`denoise` with x_0_hat clipped to the pixel range [-1, 1] and eps_hat made to agree with it.

    It goes outside of guidance, whose combinations leave the range.
    """

    def clipped(x_t: Images, timestep: Timesteps) -> Prediction:
        x_0 = denoise(x_t, timestep).x_0.clamp(-1, 1)
        return from_x_0(schedule, x_0, x_t, timestep)

    return clipped
