"""From what a binary network says to the reverse step.

A network gives the log-odds of x_0, and the reverse step is the posterior averaged over it,

    Q = sum_x p_hat(x_0 = x | x_t) q(x_{t-1} = +1 | x_t, x_0 = x)

which holds on respaced chains too; or it gives the log-odds of x_{t-1} itself, as in the sources.
By Bayes, what a pixel's own value says is a known summand of either, so the network outputs the
rest: what the other pixels and the text say.

    logit p_hat(x_0 = +1 | x_t)     = output + x_t log((1 + r_t) / (1 - r_t))
    logit p_hat(x_{t-1} = +1 | x_t) = output + x_t log((1 - delta_t) / delta_t)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from textdiff.binary.config import BinaryPredicts
from textdiff.binary.schedule import BinarySchedule
from textdiff.types import Images, Timesteps


@dataclass(frozen=True)
class BinaryPrediction:
    """What a network predicts from x_t.

    logits: (B, C, H, W) log-odds of a pixel being +1: of x_0, or with "posterior" of x_{t-1}.
    """

    logits: Images
    predicts: BinaryPredicts = "x_0"

    @property
    def x_0_hat(self) -> Images:
        """The expected pixel in [-1, 1]: of x_0, or with "posterior" of x_{t-1}."""
        return (self.logits / 2).tanh()


OWN_SHARE = {"x_0": "own_log_odds", "posterior": "x_t_log_odds"}
BinaryDenoise = Callable[[Images, Timesteps], BinaryPrediction]


def from_output(
    predicts: BinaryPredicts,
    schedule: BinarySchedule,
    output: Images,
    x_t: Images,
    timestep: Timesteps,
) -> BinaryPrediction:
    """The BinaryPrediction of a network's output; all (B, C, H, W), timestep (B,)."""
    x_t = _precise(x_t)
    own = schedule.at(OWN_SHARE[predicts], timestep, x_t) * x_t
    return BinaryPrediction(_precise(output) + own, predicts)


def reverse_logits(
    schedule: BinarySchedule, prediction: BinaryPrediction, x_t: Images, timestep: Timesteps
) -> Images:
    """logit p(x_{t-1} = +1 | x_t), in float32 or better.

    timestep counts the steps of `schedule`: on a respaced chain it is the index.

    Raises:
        ValueError: a network that predicts the posterior, on a chain that skips steps.
    """
    logits, x_t = _precise(prediction.logits), _precise(x_t)
    if prediction.predicts == "x_0":
        return schedule.mixed_posterior_logits(logits, x_t, timestep)
    last = int(schedule.timesteps[-1])
    if schedule.num_timesteps != last + 1:
        raise ValueError(
            "a network that predicts the posterior takes every step: "
            f"{schedule.num_timesteps} steps do not lead from timestep {last} to 0"
        )
    return logits


def _precise(x: Images) -> Images:
    """float32 or better: log-odds reach 15, where half precision has steps of 1/64 and more."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
