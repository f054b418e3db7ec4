"""Differences between settings of one sweep, in pairs: prompts, noise and resamples are the same.

    R@1   mean over prompts of rate - rate of the baseline, prompts resampled
    KID   KID - KID of the baseline in each resample b of pictures, which is the same draw for both

What is common to both, such as which prompts are hard, cancels; so these intervals are narrower
than two that stand side by side let one guess.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from textdiff.evaluation import report
from textdiff.metrics.bootstrap import estimate as estimate_of

UNGUIDED, WITHOUT_CLIP = "unguided", "same CFG without CLIP"
DIGITS = 6


def baselines(one: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """(guidance_scale, clip_guidance_scale) of what a setting is compared with, by name."""
    scale, clip = one["guidance_scale"], one["clip_guidance_scale"]
    unguided = {} if (scale, clip) == (1, 0) else {UNGUIDED: (1, 0)}
    return {**unguided, WITHOUT_CLIP: (scale, 0)} if clip else unguided


def add_differences(settings: list[dict[str, Any]]) -> None:
    """Gives each setting its differences from those of its baselines that are among `settings`."""
    by_scales = {(one["guidance_scale"], one["clip_guidance_scale"]): one for one in settings}
    for one in settings:
        known = one.setdefault("differences", {})
        for name, scales in baselines(one).items():
            if name not in known and scales in by_scales:
                known[name] = difference(one, by_scales[scales])


def difference(one: dict[str, Any], other: dict[str, Any]) -> dict[str, dict[str, float]]:
    """`one` minus `other`, both as `guidance_measure.Judgement.numbers` gives them."""
    rates, kids = (samples(one, key) - samples(other, key) for key in ("R@1", "KID"))
    kid = one["held_out"]["KID"]["mean"] - other["held_out"]["KID"]["mean"]
    return {"R@1": report.interval(rates), "KID": interval_of(kid, kids)}


def samples(one: dict[str, Any], key: str) -> Tensor:
    """R@1 of each prompt, or KID of each resample; by held-out CLIPs."""
    return torch.from_numpy(np.array(one["samples"][key], dtype=np.float64))  # null becomes nan


def as_samples(values: Tensor) -> list[float | None]:
    """For JSON, which has no nan."""
    return [float(f"{v:.{DIGITS}g}") if math.isfinite(v) else None for v in values.tolist()]


def interval_of(estimate: float, resampled: Tensor) -> dict[str, float]:
    """As JSON. Resamples of one picture alone, which few pictures give at times, have no KID."""
    return report.as_json(estimate_of(estimate, resampled[resampled.isfinite()]))
