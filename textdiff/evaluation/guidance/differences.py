"""Which settings of a sweep each is compared with, in pairs; see `held_out.differences`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from textdiff.evaluation.guidance.sweep import Scales, SettingResult
from textdiff.evaluation.held_out.differences import difference

UNGUIDED, WITHOUT_CLIP = "unguided", "same CFG without CLIP"
ALONE, SAME_COST = "same guidance, one candidate", "same guidance, as many evaluations"
BASELINES = (UNGUIDED, WITHOUT_CLIP, ALONE, SAME_COST)


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
