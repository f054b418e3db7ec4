"""Differences between settings of one sweep, in pairs: prompts, noise and resamples are the same.

    R@1   mean over prompts of rate - rate of the baseline, prompts resampled
    KID   KID - KID of the baseline in each resample b of pictures, which is the same draw for both

What is common to both, such as which prompts are hard, cancels; so these intervals are narrower
than two that stand side by side let one guess.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from textdiff.evaluation.guidance.sweep import (
    Difference,
    PictureScores,
    Samples,
    Scales,
    SettingResult,
)
from textdiff.metrics.bootstrap import estimate_mean, estimate_of_finite

UNGUIDED, WITHOUT_CLIP = "unguided", "same CFG without CLIP"
ALONE, SAME_COST = "same guidance, one candidate", "same guidance, as many evaluations"
BASELINES = (UNGUIDED, WITHOUT_CLIP, ALONE, SAME_COST)
DIGITS = 6


def baselines(scales: Scales) -> dict[str, Scales]:
    """What a setting is compared with, by name."""
    off, choice = Scales(1, 0), scales.choice
    found = {} if scales == off else {UNGUIDED: off}
    if scales.clip:
        found[WITHOUT_CLIP] = Scales(scales.guidance, 0)
    if choice is not None:
        found[ALONE] = Scales(scales.guidance, scales.clip)
        found[SAME_COST] = Scales(scales.guidance, scales.clip, num_steps=choice.rival_steps)
    return found


def with_differences(settings: Sequence[SettingResult]) -> tuple[SettingResult, ...]:
    """Each setting with its differences from those of its baselines that are among `settings`.
    Those that it has already stay as they are."""
    by_scales = {each.scales: each.scores for each in settings}
    completed = []
    for each in settings:
        known = dict(each.differences)
        for name, scales in baselines(each.scales).items():
            if name not in known and scales in by_scales:
                known[name] = difference(each.scores, by_scales[scales])
        completed.append(replace(each, differences=known))
    return tuple(completed)


def difference(scores: PictureScores, baseline: PictureScores) -> Difference:
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
