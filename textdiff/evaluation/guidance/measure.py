"""Scores of pictures by the evaluators and by the CLIP that guides; see `held_out.measure`.

The CLIP that guides does not count as an evaluator: pictures are optimised for it, so it scores
them higher than others do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from textdiff.clip import ClipModel
from textdiff.evaluation.features.cache import FeatureCache
from textdiff.evaluation.guidance.sweep import PictureScores, RecallGap
from textdiff.evaluation.held_out.measure import (
    Evaluator,
    estimate_following,
    follow_prompts,
    judge_pictures,
    prepare_evaluators,
    unit_features,
)
from textdiff.metrics.bootstrap import estimate_mean
from textdiff.types import Pictures

GUIDE = "the guide"


@dataclass(frozen=True)
class Panel:
    """All CLIPs that score pictures. held_out: the evaluators, by name. guide: the one that
    guides."""

    held_out: dict[str, Evaluator]
    guide: Evaluator


def prepare_panel(
    evaluators: Mapping[str, ClipModel],
    guide: ClipModel,
    prompts: Sequence[str],
    reference: Pictures,
    cache: FeatureCache | None = None,
) -> Panel:
    """Computes what is the same for all pictures. reference: real pictures, whose features may be
    in `cache`."""
    held_out = prepare_evaluators(evaluators, prompts, reference, cache)
    return Panel(held_out, prepare_evaluators({GUIDE: guide}, prompts, reference, cache)[GUIDE])


def score_pictures(panel: Panel, images: Pictures, per_prompt: int) -> PictureScores:
    """images: (N per_prompt, 3, S, S), those of the first prompt first."""
    judged = judge_pictures(panel.held_out, images, per_prompt)
    guide, prompt, mean = panel.guide, judged.prompt, judged.mean
    by_guide = follow_prompts(unit_features(guide.clip, images, GUIDE), guide.prompts, prompt)
    scores = judged.scores()
    return PictureScores(
        held_out=scores.held_out,
        evaluators=scores.evaluators,
        samples=scores.samples,
        guide=estimate_following(by_guide, prompt),
        gap=RecallGap(
            estimate_mean(by_guide.at_1 - mean.at_1, prompt),
            estimate_mean(by_guide.at_5 - mean.at_5, prompt),
        ),
    )
