"""Classifier-free guidance of binary diffusion, on the logits.

    logits_hat = logits_uncond + guidance_scale (logits_cond - logits_uncond)    1.0 is off

Log-odds are to coins what the score is to densities: p_hat ~ p_uncond (p_cond / p_uncond)^scale.
"""

from __future__ import annotations

from collections.abc import Callable

from textdiff.binary.prediction import BinaryDenoise, BinaryPrediction
from textdiff.timesteps import single_timestep
from textdiff.types import Images, Timesteps

# (conditional, unconditional) predictions of the same x_t
BinaryDenoisePair = Callable[[Images, Timesteps], tuple[BinaryPrediction, BinaryPrediction]]


def binary_classifier_free(pair: BinaryDenoisePair, guidance_scale: float) -> BinaryDenoise:
    """The guided denoiser of a pair; at scale 1.0 use the conditional one instead."""

    def guided(x_t: Images, timestep: Timesteps) -> BinaryPrediction:
        cond, uncond = pair(x_t, timestep)
        logits = uncond.logits + guidance_scale * (cond.logits - uncond.logits)
        return BinaryPrediction(logits, cond.predicts)

    return guided


def binary_interval(
    inside: BinaryDenoise, outside: BinaryDenoise, interval: tuple[int, int] | None
) -> BinaryDenoise:
    """`inside` at the timesteps of `interval`, both ends included, and `outside` elsewhere; None:
    `inside` everywhere. All rows of a batch share their timestep."""
    if interval is None:
        return inside
    low, high = interval

    def chosen(x_t: Images, timestep: Timesteps) -> BinaryPrediction:
        return (inside if low <= single_timestep(timestep) <= high else outside)(x_t, timestep)

    return chosen
