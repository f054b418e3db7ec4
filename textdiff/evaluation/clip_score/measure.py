"""CLIP scores of kinds of pictures, such as drawn and real ones of the same prompts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated

from textdiff.clip import ClipModel
from textdiff.clip.features import image_features, text_features
from textdiff.evaluation.pictures import PromptedPictures
from textdiff.evaluation.results import INLINE, Key
from textdiff.evaluation.tables import print_table
from textdiff.metrics.bootstrap import Estimate, estimate_mean
from textdiff.metrics.clip_score import TORCHMETRICS_WEIGHT, clip_scores


@dataclass(frozen=True)
class ClipScore:
    """score: the mean over so many pictures."""

    score: Annotated[Estimate, INLINE]
    pictures: int


@dataclass(frozen=True)
class ClipScoreResult:
    """Scores by kind of pictures.

    weight: of the cosine.
    captions_cut: prompts, of all kinds together, that the text tower sees cut.
    """

    weight: float
    captions_cut: int
    scores: Annotated[dict[str, ClipScore], Key("results")]

    def estimates(self) -> Iterator[tuple[str, Estimate]]:
        for kind, each in self.scores.items():
            yield f"{kind}, CLIP score", each.score


def measure_clip_score(
    clip: ClipModel, pictures: Mapping[str, PromptedPictures], weight: float = TORCHMETRICS_WEIGHT
) -> ClipScoreResult:
    """The score of each kind of pictures with their prompts."""
    scores = {}
    for kind, judged in pictures.items():
        images, texts = image_features(clip, judged.images), text_features(clip, judged.prompts)
        score = estimate_mean(clip_scores(images, texts, weight))
        scores[kind] = ClipScore(score, len(judged))
    captions = [prompt for judged in pictures.values() for prompt in judged.prompts]
    return ClipScoreResult(weight, clip.tokenize(captions).num_truncated, scores)


def print_scores(result: ClipScoreResult, source: str) -> None:
    """A row per kind of pictures. source: where the prompts are from."""
    rows = [
        [
            f"{kind} pictures",
            f"{each.score.value:.2f}",
            f"{each.score.low:.2f} to {each.score.high:.2f}",
            str(each.pictures),
        ]
        for kind, each in result.scores.items()
    ]
    title = f"CLIP score (cosine x {result.weight:g}), prompts of {source}"
    print_table(title, ["", "score", "95% interval", "pictures"], rows)
