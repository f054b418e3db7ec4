"""Differences between pictures of the same prompts, in pairs: noise and resamples are the same too.

    R@1   mean over prompts of rate - rate of the baseline, prompts resampled
    KID   KID - KID of the baseline in each resample b of pictures, which is the same draw for both

What is common to both, such as which prompts are hard, cancels; so these intervals are narrower
than two that stand side by side let one guess.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

from textdiff.evaluation.held_out.scores import Difference, JudgedScores, Samples
from textdiff.metrics.bootstrap import estimate_mean, estimate_of_finite

DIGITS = 6


def difference(scores: JudgedScores, baseline: JudgedScores) -> Difference:
    """`scores` minus `baseline`."""
    rates = to_tensor(scores.samples.at_1) - to_tensor(baseline.samples.at_1)
    kids = to_tensor(scores.samples.kid) - to_tensor(baseline.samples.kid)
    kid = scores.held_out.kid.value - baseline.held_out.kid.value
    return Difference(estimate_mean(rates), estimate_of_finite(kid, kids))


def to_samples(values: Float[Tensor, " values"]) -> Samples:
    """To few digits; None where a value is not finite."""
    return tuple(float(f"{v:.{DIGITS}g}") if math.isfinite(v) else None for v in values.tolist())


def to_tensor(samples: Samples) -> Float[Tensor, " values"]:
    """float64, nan for None."""
    values = [math.nan if value is None else value for value in samples]
    return torch.tensor(values, dtype=torch.float64)
