"""Guidance rescale (Lin et al., arXiv 2305.08891, section 3.4): undo the contrast guidance adds.

    v_rescaled = v_cfg std(v_cond) / std(v_cfg)                                     (eq. 15)
    v_hat      = phi v_rescaled + (1 - phi) v_cfg                                   (eq. 16)

The standard deviation is over all of an example, such as the channels and pixels of an image. The
paper's networks output v, and so v is rescaled here whatever the network predicts: it says
something of the picture at every noise level, while eps_hat is x_t at the noisy end and x_0_hat is
x_t at the clean one.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from textdiff.diffusion.prediction import from_v
from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.guidance.classifier_free import Correction
from textdiff.types import Prediction, Samples, Timesteps


def rescale(schedule: NoiseSchedule, guidance_rescale: float) -> Correction:
    """For `classifier_free`. guidance_rescale: phi in [0, 1], 0 is off, the paper's choice 0.7."""

    def corrected(
        guided: Prediction, cond: Prediction, x_t: Samples, timestep: Timesteps
    ) -> Prediction:
        a, b = (schedule.at(table, timestep, x_t) for table in ("signal", "noise"))
        v, v_cond = (a * prediction.eps - b * prediction.x_0 for prediction in (guided, cond))
        each = tuple(range(1, x_t.ndim))
        std, std_cond = (value.std(dim=each, keepdim=True) for value in (v, v_cond))
        # a v without any contrast is left as it is, not divided by zero
        factor = std_cond / std.clamp(min=torch.finfo(std.dtype).tiny)
        v = guidance_rescale * factor * v + (1 - guidance_rescale) * v
        rescaled = from_v(schedule, v, x_t, timestep)
        return replace(guided, x_0=rescaled.x_0, eps=rescaled.eps)

    return corrected
