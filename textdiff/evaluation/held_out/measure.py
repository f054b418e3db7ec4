"""Scores of pictures by CLIPs: prompt following, CLIP score, distance from real pictures.

pictures ── each CLIP ──► features ──► ranks, scores by picture ──► means over the evaluators
                                  └──► KID, Frechet distance from the real pictures' features

A CLIP compares directions, so features enter with unit length; for KID times sqrt(D), which makes
its kernel (cos + 1)^3 and its values comparable between CLIPs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from textdiff.clip import ClipModel
from textdiff.clip.features import image_features
from textdiff.evaluation.features.cache import FeatureCache
from textdiff.evaluation.features.cached import CachedFeatures
from textdiff.evaluation.features.clip import ClipExtractor
from textdiff.evaluation.features.finite import check_finite
from textdiff.evaluation.held_out.differences import to_samples
from textdiff.evaluation.held_out.scores import (
    EvaluatorScores,
    HeldOutScores,
    JudgedScores,
    PromptFollowing,
    ScoreSamples,
)
from textdiff.metrics.bootstrap import (
    Estimate,
    count_draws,
    estimate_mean,
    estimate_of_finite,
    resample,
)
from textdiff.metrics.clip_score import clip_scores
from textdiff.metrics.frechet import frechet_distance
from textdiff.metrics.kernel_distance import kid, kid_of_resamples
from textdiff.metrics.retrieval import prompt_following
from textdiff.types import Features, PerSample, Pictures

RESAMPLES = 1000
FRECHET_RESAMPLES = 200  # each takes two eigen-decompositions

PromptOfPicture = Int[Tensor, " pictures"]


@dataclass(frozen=True)
class Evaluator:
    """A CLIP with its features of the N prompts (N, E) and of the reference pictures (m, E), these
    of unit length."""

    clip: ClipModel
    prompts: Features
    reference: Features


def prepare_evaluators(
    clips: Mapping[str, ClipModel],
    prompts: Sequence[str],
    reference: Pictures,
    cache: FeatureCache | None = None,
) -> dict[str, Evaluator]:
    """Computes what is the same for all pictures. reference: real pictures, whose features may be
    in `cache`."""

    def prepare(name: str, clip: ClipModel) -> Evaluator:
        features = CachedFeatures(ClipExtractor(name, clip), cache)
        real = features.of_pictures(reference, [[]] * len(reference)).features
        return Evaluator(clip, features.of_captions(prompts), F.normalize(real, dim=-1))

    return {name: prepare(name, clip) for name, clip in clips.items()}


def unit_features(clip: ClipModel, images: Pictures, name: str = "CLIP") -> Features:
    """(n, E) on the CPU. Raises CheckpointError where those of the CLIP `name` are not finite."""
    features = image_features(clip, images).float()
    check_finite(features, name)
    return F.normalize(features, dim=-1)


@dataclass(frozen=True)
class FollowingOfPictures:
    """By picture (n,), float64: whether its prompt is among the first k, and the CLIP score."""

    at_1: PerSample
    at_5: PerSample
    clip_score: PerSample


@dataclass(frozen=True)
class Distance:
    """Between drawn and real pictures, and in each of B resamples (B,)."""

    value: float
    resampled: Float[Tensor, " resamples"]

    @property
    def estimate(self) -> Estimate:
        return estimate_of_finite(self.value, self.resampled)


@dataclass(frozen=True)
class Distances:
    kid: Distance
    frechet: Distance


@dataclass(frozen=True)
class Judged:
    """N per_prompt pictures, those of the first prompt first. By evaluator: their unit features
    (n, E), how they follow their prompts, and how far they are from the real ones."""

    per_prompt: int
    features: dict[str, Features]
    following: dict[str, FollowingOfPictures]
    distances: dict[str, Distances]

    @property
    def prompt(self) -> PromptOfPicture:
        """(n,) which of the prompts each is of."""
        count = len(next(iter(self.features.values())))
        return torch.arange(count) // self.per_prompt

    @property
    def mean(self) -> FollowingOfPictures:
        """Over the evaluators."""
        return mean_following(self.following.values())

    def scores(self) -> JudgedScores:
        mean, mean_kid = self.mean, average_kid(self.distances.values())
        return JudgedScores(
            held_out=HeldOutScores(estimate_following(mean, self.prompt), mean_kid.estimate),
            evaluators={
                name: EvaluatorScores(
                    estimate_following(each, self.prompt),
                    self.distances[name].kid.estimate,
                    self.distances[name].frechet.estimate,
                )
                for name, each in self.following.items()
            },
            samples=ScoreSamples(
                to_samples(mean.at_1.view(-1, self.per_prompt).mean(dim=1)),
                to_samples(mean_kid.resampled),
            ),
        )


def judge_pictures(
    evaluators: Mapping[str, Evaluator], images: Pictures, per_prompt: int
) -> Judged:
    """Drawn pictures are resampled by prompts, real ones by themselves.

    Args:
        images: (N per_prompt, 3, S, S), those of the first prompt first.
    """
    prompt = torch.arange(len(images)) // per_prompt
    features = {name: unit_features(each.clip, images, name) for name, each in evaluators.items()}
    return Judged(
        per_prompt=per_prompt,
        features=features,
        following={
            name: follow_prompts(features[name], each.prompts, prompt)
            for name, each in evaluators.items()
        },
        distances={
            name: resampled_distances(features[name], each.reference, per_prompt)
            for name, each in evaluators.items()
        },
    )


def follow_prompts(
    features: Features, prompts: Features, prompt: PromptOfPicture
) -> FollowingOfPictures:
    """prompt: (n,) which of the prompts (N, E) each picture (n, E) was drawn for."""
    ranks = prompt_following(features, prompts, prompt).ranks
    scores = clip_scores(features, prompts[prompt]).double()
    return FollowingOfPictures((ranks <= 1).double(), (ranks <= 5).double(), scores)


def mean_following(by_evaluator: Collection[FollowingOfPictures]) -> FollowingOfPictures:
    """Over evaluators, by picture."""

    def mean(values: Iterable[PerSample]) -> PerSample:
        return torch.stack(list(values)).mean(0)

    return FollowingOfPictures(
        at_1=mean(each.at_1 for each in by_evaluator),
        at_5=mean(each.at_5 for each in by_evaluator),
        clip_score=mean(each.clip_score for each in by_evaluator),
    )


def estimate_following(values: FollowingOfPictures, prompt: PromptOfPicture) -> PromptFollowing:
    """Means over pictures, with intervals over prompts."""
    columns = (values.at_1, values.at_5, values.clip_score)
    return PromptFollowing(*(estimate_mean(column, prompt) for column in columns))


def resampled_distances(x: Features, y: Features, per_prompt: int) -> Distances:
    """Between drawn pictures x (N per_prompt, E) and real ones y (m, E).

    Either set is resampled by itself, in the same way for every CLIP and setting; drawn ones by
    prompts, as the `per_prompt` pictures of one are no independent observations.
    """
    draws_x = resample(len(x) // per_prompt, RESAMPLES, ("distance", "drawn"))
    draws_y = resample(len(y), RESAMPLES, ("distance", "real"))
    wide_x, wide_y = (features * features.shape[1] ** 0.5 for features in (x, y))
    kids = kid_of_resamples(wide_x, wide_y, count_draws(draws_x), count_draws(draws_y), per_prompt)
    pictures = torch.arange(len(x)).view(-1, per_prompt)  # a row of each prompt
    drawn = pictures[draws_x[:FRECHET_RESAMPLES]].flatten(1)
    frechets = [frechet_distance(x[a], y[b]) for a, b in zip(drawn, draws_y, strict=False)]
    return Distances(
        kid=Distance(kid(wide_x, wide_y, per_prompt), kids),
        frechet=Distance(frechet_distance(x, y), torch.tensor(frechets).double()),
    )


def average_kid(by_evaluator: Collection[Distances]) -> Distance:
    """KID averaged over evaluators, and that of each resample."""
    kids = [each.kid for each in by_evaluator]
    value = sum(kid.value for kid in kids) / len(kids)
    return Distance(value, torch.stack([kid.resampled for kid in kids]).mean(dim=0))
