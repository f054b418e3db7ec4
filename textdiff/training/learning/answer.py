"""The verdict on a line of metrics.jsonl, whatever was trained: for tasks, and for readers of logs.

held-out values ──► of a text-to-image model, a CLIP, a noised CLIP or a VAE ──► one to three lines
"""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from textdiff.training.learning.vae import VaeNumbers
from textdiff.training.learning.words import Evidence, recall_verdict, verdict

DIRECTIONS = ("image_to_text", "text_to_image")
RECALL_AT_TIMESTEP, CHANCE_AT_TIMESTEP = "held_out/R@5_t", "held_out/chance_R@5"


def answer(values: Mapping[str, float], step: int) -> list[str]:
    """One to three lines; none where `values` hold nothing to judge by."""
    kinds = (clip_answer, noised_clip_answer, VaeNumbers.verdict, model_answer)
    return next((lines for kind in kinds if (lines := kind(values, step))), [])


def model_answer(values: Mapping[str, float], step: int) -> list[str]:
    """Of a text-to-image model."""
    return verdict(Evidence.read(values), step)


def clip_answer(values: Mapping[str, float], step: int) -> list[str]:
    """Of a CLIP."""
    recall, chance = (
        [f"held_out/{direction}_{name}" for direction in DIRECTIONS]
        for name in ("R@1", "chance R@1")
    )
    if not values.keys() >= {*recall, *chance}:
        return []
    return recall_verdict(
        sum(values[name] for name in recall), sum(values[name] for name in chance), step
    )


def noised_clip_answer(values: Mapping[str, float], step: int) -> list[str]:
    """Of a noised CLIP: its mean over the timesteps that were asked."""
    recalls = [value for name, value in values.items() if name.startswith(RECALL_AT_TIMESTEP)]
    if not recalls or CHANCE_AT_TIMESTEP not in values:
        return []
    return recall_verdict(fmean(recalls), values[CHANCE_AT_TIMESTEP], step)
