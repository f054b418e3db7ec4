"""From what the network says to what samplers need.

    x_0 = (x_t - sqrt(1 - ac) eps) / sqrt(ac)        eps = (x_t - sqrt(ac) x_0) / sqrt(1 - ac)

The network predicts eps (DDPM section 3.2).
"""

from __future__ import annotations

from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.types import Denoise, Images, Prediction, Timesteps


def from_eps(schedule: NoiseSchedule, eps: Images, x_t: Images, timestep: Timesteps) -> Prediction:
    """The Prediction of a network that outputs eps; all (B, C, H, W), timestep (B,)."""
    signal, noise = (schedule.at(table, timestep, x_t) for table in ("signal", "noise"))
    return Prediction(x_0=(x_t - noise * eps) / signal, eps=eps)


def from_x_0(schedule: NoiseSchedule, x_0: Images, x_t: Images, timestep: Timesteps) -> Prediction:
    """The Prediction of a network that outputs x_0."""
    signal, noise = (schedule.at(table, timestep, x_t) for table in ("signal", "noise"))
    return Prediction(x_0=x_0, eps=(x_t - signal * x_0) / noise)


def clip_x_0(denoise: Denoise, schedule: NoiseSchedule) -> Denoise:
    """`denoise` with x_0_hat clipped to the pixel range [-1, 1] and eps_hat made to agree with it.

    It goes outside of guidance, whose combinations leave the range.
    """

    def clipped(x_t: Images, timestep: Timesteps) -> Prediction:
        x_0 = denoise(x_t, timestep).x_0.clamp(-1, 1)
        return from_x_0(schedule, x_0, x_t, timestep)

    return clipped
