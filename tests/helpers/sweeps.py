"""Sweeps of guidance with numbers of our choice, without drawing."""

from __future__ import annotations

from dataclasses import replace

from tests.helpers.protocols import CLIP, DATA, MODEL
from textdiff.evaluation.guidance.differences import with_differences
from textdiff.evaluation.guidance.sweep import (
    Choice,
    GuideProtocol,
    GuideReading,
    PictureScores,
    RecallGap,
    Scales,
    SettingResult,
    Sweep,
    SweepProtocol,
)
from textdiff.evaluation.held_out.protocol import Chance, PromptProtocol, ReferenceProtocol
from textdiff.evaluation.held_out.scores import (
    EvaluatorScores,
    HeldOutScores,
    PromptFollowing,
    ScoreSamples,
)
from textdiff.evaluation.protocol import ClipProtocol
from textdiff.metrics.bootstrap import Estimate
from textdiff.pipeline.cost import Evaluations

CLIP_SAMPLING = {"clip_guide": None, "clip_guidance_at": "auto", "clip_normalise": False}


def estimated(value: float) -> Estimate:
    return Estimate(value, value - 0.1, value + 0.1, 0.95, 50)


def scores(rate: float, kid: float) -> PictureScores:
    """Of two prompts, one evaluator; R@1 and KID as given."""
    following = PromptFollowing(estimated(rate), estimated(1.0), estimated(30.0))
    distance = estimated(kid)
    return PictureScores(
        held_out=HeldOutScores(following, distance),
        evaluators={"judge": EvaluatorScores(following, distance, estimated(0.5))},
        guide=following,
        gap=RecallGap(estimated(0.0), estimated(0.0)),
        samples=ScoreSamples((rate, rate), (kid, None, kid)),
    )


def setting(scales: Scales, rate: float = 0.5, kid: float = 0.2) -> SettingResult:
    return SettingResult(scales.kind, str(scales), scales, scores(rate, kid), 1.5)


def sweep(
    weights: str = "abc",
    guide: str = "clip",
    form: str = "clean CLIP at x_0",
    **clip_sampling: object,
) -> Sweep:
    """Of four settings. weights, guide, form: of the CLIP that guides."""
    grid = [Scales(g, c) for c in (0.0, 2.0) for g in (1.0, 3.0)]
    protocol = SweepProtocol(
        metric={"R@k": "share"},
        model=MODEL,
        guide=GuideProtocol(
            ClipProtocol(guide, weights, 16), form, GuideReading("pictures", weights)
        ),
        evaluators=(CLIP,),
        data=DATA,
        prompts=PromptProtocol(2, 0, "sha", 1, {"judge": 0}),
        reference=ReferenceProtocol("train", 6),
        chance=Chance(0.5, 1.0),
        sampling={"seed": 0, "num_steps": 2},
        clip_sampling={**CLIP_SAMPLING, **clip_sampling},
        device="cpu",
        versions={"textdiff": "0"},
    )
    settings = [setting(each, 0.2 * k, 0.1 * k) for k, each in enumerate(grid, 1)]
    return Sweep(protocol, scores(1.0, 0.0), with_differences(settings))


EARLY = Choice(4, "noised", "noised CLIP", "def", (0.5,), 6)
FINAL = Choice(4, "clip", "clean CLIP", "abc", (), 8)


def sweep_of_choices() -> Sweep:
    """Two choices at CFG 3, what each is compared with, and what all cost."""
    costs = {
        Scales(3, 0): Evaluations(4),
        Scales(3, 0, num_steps=6): Evaluations(12),
        Scales(3, 0, EARLY): Evaluations(12, judge=6),
        Scales(3, 0, num_steps=8): Evaluations(16),
        Scales(3, 0, FINAL): Evaluations(16, judge=4),
    }
    settings = [
        replace(setting(scales, 0.1 * k, 0.1 * k), evaluations=cost)
        for k, (scales, cost) in enumerate(costs.items(), 1)
    ]
    return replace(sweep(), settings=with_differences(settings))
