"""CLIP score and prompt following of the drawn pictures, by one CLIP.

features of a picture, of its prompt ── 100 max(cos, 0) ──► CLIP score      floor: another's prompt
features of a picture, of all prompts of the split ──► rank ──► R@1, R@5    floor: k / N

The ceiling of both is that of the real pictures of these prompts. Pictures of one prompt are no
independent observations: intervals are over prompts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textdiff.evaluation.features.cached import CachedFeatures
from textdiff.evaluation.report.drawn import DrawnSplit
from textdiff.evaluation.results import OMIT_NONE, Key
from textdiff.metrics.bootstrap import Estimate, estimate_mean
from textdiff.metrics.clip_score import clip_scores
from textdiff.metrics.retrieval import chance_recall, prompt_following


@dataclass(frozen=True)
class Beside:
    """A number of drawn pictures, that of real ones of the same prompts, and what chance gives."""

    drawn: Estimate
    real: Estimate
    chance: float


@dataclass(frozen=True)
class JudgedResult:
    """Of one split by one CLIP. clip_score: cosine x 100. recall: None where the CLIP took part in
    the model, whose pictures then please it. captions_cut: prompts that its text tower sees cut."""

    prompts: int
    pictures: int
    captions_cut: int
    clip_score: Beside
    recall_at_1: Annotated[Beside | None, Key("R@1"), OMIT_NONE] = None
    recall_at_5: Annotated[Beside | None, Key("R@5"), OMIT_NONE] = None

    def estimates(self) -> Iterator[tuple[str, Estimate]]:
        """Those of drawn pictures."""
        named = {"CLIP score": self.clip_score, "R@1": self.recall_at_1, "R@5": self.recall_at_5}
        yield from ((name, each.drawn) for name, each in named.items() if each is not None)


@dataclass(frozen=True)
class Judged:
    """result: of a split. scores, ranks: (n,) of each drawn picture, for the best and worst."""

    result: JudgedResult
    scores: Float[Tensor, " n"]
    ranks: Int[Tensor, " n"]


def judge_split(by: CachedFeatures, pictures: DrawnSplit, took_part: bool) -> Judged:
    """took_part: whether the CLIP had a part in training the model."""
    owner, prompts = pictures.owner, pictures.prompts
    drawn = by.of_prompted(pictures.drawn).features
    real = by.of_prompted(pictures.real).features
    texts, own = by.of_captions(prompts), torch.arange(len(prompts))
    scores = clip_scores(drawn, texts[owner])
    others = clip_scores(drawn, texts[(owner + 1) % len(prompts)])
    ranks = prompt_following(drawn, texts, owner).ranks
    real_ranks = prompt_following(real, texts, own).ranks

    def recall(k: int) -> Beside | None:
        if took_part:
            return None
        chance = chance_recall(len(prompts), 1, k)
        return Beside(estimate_mean(ranks <= k, owner), estimate_mean(real_ranks <= k), chance)

    result = JudgedResult(
        prompts=len(prompts),
        pictures=len(drawn),
        captions_cut=by.num_truncated(prompts),
        clip_score=Beside(
            estimate_mean(scores, owner),
            estimate_mean(clip_scores(real, texts)),
            others.mean().item(),
        ),
        recall_at_1=recall(1),
        recall_at_5=recall(5),
    )
    return Judged(result, scores, ranks)


def judge_all(
    by: CachedFeatures, pictures: Mapping[str, DrawnSplit], took_part: bool
) -> dict[str, Judged]:
    """By split."""
    return {split: judge_split(by, each, took_part) for split, each in pictures.items()}
