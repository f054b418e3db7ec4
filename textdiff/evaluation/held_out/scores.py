"""Scores of one set of pictures by CLIPs that took no part, as they stand in files of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from textdiff.evaluation.results import INLINE, Key
from textdiff.metrics.bootstrap import Estimate

KID_UNIT = 1000  # KID is shown times this
Samples = tuple[float | None, ...]  # None: not a number, which JSON lacks


@dataclass(frozen=True)
class PromptFollowing:
    """How often a picture's prompt is among the first k of all prompts, and its CLIP score."""

    at_1: Annotated[Estimate, Key("R@1")]
    at_5: Annotated[Estimate, Key("R@5")]
    clip_score: Annotated[Estimate, Key("CLIP score")]


@dataclass(frozen=True)
class HeldOutScores:
    """Means over the evaluators."""

    following: Annotated[PromptFollowing, INLINE]
    kid: Annotated[Estimate, Key("KID")]


@dataclass(frozen=True)
class EvaluatorScores:
    """By one evaluator."""

    following: Annotated[PromptFollowing, INLINE]
    kid: Annotated[Estimate, Key("KID")]
    frechet: Annotated[Estimate, Key("Frechet")]


@dataclass(frozen=True)
class ScoreSamples:
    """By the evaluators: R@1 of each prompt, KID of each resample. See `differences`."""

    at_1: Annotated[Samples, Key("R@1")]
    kid: Annotated[Samples, Key("KID")]


@dataclass(frozen=True)
class JudgedScores:
    """Of one set of pictures."""

    held_out: HeldOutScores
    evaluators: dict[str, EvaluatorScores]
    samples: ScoreSamples


@dataclass(frozen=True)
class Difference:
    """One set of pictures minus a baseline, by the evaluators, in pairs."""

    at_1: Annotated[Estimate, Key("R@1")]
    kid: Annotated[Estimate, Key("KID")]
