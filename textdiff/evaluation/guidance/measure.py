"""What judges say of pictures: prompt following, CLIP score, distance from real pictures.

pictures ── each CLIP ──► features ──► ranks, scores by picture ──► means over held-out CLIPs
                                  └──► KID, Frechet distance from the real pictures' features

A CLIP compares directions, so features enter with unit length; for KID times sqrt(D), which makes
its kernel (cos + 1)^3 and its values comparable between CLIPs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from textdiff.clip import ClipModel
from textdiff.evaluation.guidance.judges import Judges
from textdiff.evaluation.guidance.pairs import as_samples, interval_of
from textdiff.evaluation.report import interval
from textdiff.metrics.clip_score import clip_scores
from textdiff.metrics.distribution import frechet_distance, kid, kid_of_resamples
from textdiff.metrics.features import image_features, text_features
from textdiff.metrics.retrieval import prompt_following
from textdiff.randomness import generator
from textdiff.types import Features

RESAMPLES = 1000
FRECHET_RESAMPLES = 200  # each takes two eigen-decompositions
KS = (1, 5)


@dataclass(frozen=True)
class Judge:
    """A CLIP with its features of the N prompts (N, E) and of the real pictures (m, E)."""

    clip: ClipModel
    prompts: Features
    reference: Features

    @classmethod
    def of(cls, clip: ClipModel, prompts: list[str], reference: Tensor) -> Judge:
        return cls(clip, text_features(clip, prompts), unit_features(clip, reference))


@dataclass(frozen=True)
class Judgement:
    """All judges of one sweep."""

    held_out: dict[str, Judge]
    guide: Judge

    @classmethod
    def of(cls, judges: Judges, prompts: list[str], reference: Tensor) -> Judgement:
        """reference: real pictures (m, 3, S, S) uint8."""
        held_out = {name: Judge.of(c, prompts, reference) for name, c in judges.held_out.items()}
        return cls(held_out, Judge.of(judges.guide_as_judge, prompts, reference))

    def numbers(self, images: Tensor, per_prompt: int) -> dict[str, Any]:
        """As JSON, all with intervals; and samples, for differences between settings. Drawn
        pictures are resampled by prompts, real ones by themselves.

        Args:
            images: (N per_prompt, 3, S, S) uint8, those of the first prompt first.
        """
        prompt = torch.arange(len(images)) // per_prompt
        features = {name: unit_features(j.clip, images) for name, j in self.held_out.items()}
        follows = {
            name: followed(features[name], judge.prompts, prompt)
            for name, judge in self.held_out.items()
        }
        guide = followed(unit_features(self.guide.clip, images), self.guide.prompts, prompt)
        mean = {key: torch.stack([f[key] for f in follows.values()]).mean(0) for key in guide}
        distances = {
            name: resampled_distances(features[name], judge.reference, per_prompt)
            for name, judge in self.held_out.items()
        }
        kid, kids = mean_kid(distances)
        return {
            "held_out": {**intervals(mean, prompt), "KID": interval_of(kid, kids)},
            "evaluators": {
                name: {
                    **intervals(follows[name], prompt),
                    **{key: interval_of(*found) for key, found in distances[name].items()},
                }
                for name in follows
            },
            "guide": intervals(guide, prompt),
            "guide - held_out": {
                f"R@{k}": interval(guide[f"R@{k}"] - mean[f"R@{k}"], prompt) for k in KS
            },
            "samples": {
                "R@1": as_samples(mean["R@1"].unflatten(0, (-1, per_prompt)).mean(dim=1)),
                "KID": as_samples(kids),
            },
        }


def unit_features(clip: ClipModel, images: Tensor) -> Features:
    """(n, E) on the CPU."""
    return F.normalize(image_features(clip, images).float(), dim=-1)


def followed(features: Features, prompts: Features, target: Tensor) -> dict[str, Tensor]:
    """By picture (n,): whether its prompt is among the first k, and the CLIP score."""
    ranks = prompt_following(features, prompts, target).ranks
    hits = {f"R@{k}": (ranks <= k).double() for k in KS}
    return {**hits, "CLIP score": clip_scores(features, prompts[target]).double()}


def intervals(values: dict[str, Tensor], prompt: Tensor) -> dict[str, dict[str, float]]:
    return {name: interval(each, prompt) for name, each in values.items()}


def resampled_distances(
    x: Features, y: Features, per_prompt: int
) -> dict[str, tuple[float, Tensor]]:
    """(value, values (b,) of resamples) of each distance between drawn and real pictures. Either
    set is resampled by itself, in the same way for every judge and setting; drawn ones by prompts,
    as the `per_prompt` pictures of one are no independent observations."""
    prompts = len(x) // per_prompt
    draws_x, draws_y = resamples("drawn", prompts), resamples("real", len(y))
    wide = [features * features.shape[1] ** 0.5 for features in (x, y)]
    counts = counted(draws_x, prompts), counted(draws_y, len(y))
    pictures = torch.arange(len(x)).unflatten(0, (-1, per_prompt))  # a row of each prompt
    drawn = pictures[draws_x[:FRECHET_RESAMPLES]].flatten(1)
    pairs = zip(drawn, draws_y, strict=False)
    return {
        "KID": (kid(*wide), kid_of_resamples(*wide, *counts, per_prompt)),
        "Frechet": (
            frechet_distance(x, y),
            torch.tensor([frechet_distance(x[a], y[b]) for a, b in pairs]).double(),
        ),
    }


def resamples(name: str, count: int) -> Tensor:
    """(RESAMPLES, count) numbers of prompts or pictures."""
    rng = generator("distance", name)
    return torch.randint(count, (RESAMPLES, count), generator=rng)


def counted(draws: Tensor, count: int) -> Tensor:
    """How often each of them is in each resample, (RESAMPLES, count)."""
    ones = torch.ones(draws.shape, dtype=torch.float64)
    return torch.zeros(len(draws), count, dtype=torch.float64).scatter_add_(1, draws, ones)


def mean_kid(distances: dict[str, dict[str, tuple[float, Tensor]]]) -> tuple[float, Tensor]:
    """KID averaged over the judges, and that of each resample (b,)."""
    values, resampled = zip(*(found["KID"] for found in distances.values()), strict=True)
    return sum(values) / len(values), torch.stack(resampled).mean(dim=0)
