"""CLIP scores of kinds of pictures, such as drawn and real ones of the same prompts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated

from textdiff.evaluation.evaluators import note_on_part
from textdiff.evaluation.features.cached import CachedFeatures
from textdiff.evaluation.features.feature_set import FeatureSet
from textdiff.evaluation.per_item import PerItem, values_by_item
from textdiff.evaluation.protocol import ClipProtocol, ModelProtocol, SourceProtocol
from textdiff.evaluation.results import INLINE, Key
from textdiff.evaluation.tables import print_estimates, print_notes
from textdiff.metrics.bootstrap import Estimate, estimate_mean
from textdiff.metrics.clip_score import PAPER_WEIGHT, TORCHMETRICS_WEIGHT, clip_s, clip_scores
from textdiff.metrics.sample_size import too_few


@dataclass(frozen=True, kw_only=True)
class ClipScoreProtocol:
    """model, sampling: None where pictures were given, not drawn. data: of a feature file, what it
    says that it is of."""

    metric: str = "CLIP score"
    model: ModelProtocol | None
    clip: ClipProtocol
    data: SourceProtocol
    prompt_seed: int
    sampling: dict[str, object] | None


@dataclass(frozen=True)
class ClipScore:
    """Means over so many pictures. clip_s: the paper's, whatever the weight of the score."""

    score: Annotated[Estimate, INLINE]
    pictures: int
    clip_s: Annotated[Estimate, Key("CLIP-S")]


@dataclass(frozen=True)
class ClipScoreResult:
    """Scores by kind of pictures.

    weight: of the cosine in the CLIP score.
    captions_cut: prompts, of all kinds together, that the text tower sees cut.
    per_item: by kind, the "score" of each picture, by its prompt.
    warnings: sentences on what flatters the pictures.
    """

    weight: float
    captions_cut: int
    scores: Annotated[dict[str, ClipScore], Key("results")]
    per_item: dict[str, PerItem] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def estimates(self) -> Iterator[tuple[str, Estimate]]:
        for kind, each in self.scores.items():
            yield f"CLIP score, {kind} pictures", each.score
            yield f"CLIP-S, {kind} pictures", each.clip_s


def measure_clip_score(
    clip: CachedFeatures,
    pictures: Mapping[str, FeatureSet],
    weight: float = TORCHMETRICS_WEIGHT,
    involved: Mapping[str, str] | None = None,
) -> ClipScoreResult:
    """The score of each kind of pictures with their prompts. involved: of `involved_in`.

    Raises:
        UsageError: `clip` is none. DataError: a picture has no prompt.
    """
    scores, per_item = {}, {}
    for kind, judged in pictures.items():
        both = judged.features, clip.of_captions(judged.prompts)
        each = clip_scores(*both, weight)
        paper = estimate_mean(clip_s(*both))
        scores[kind] = ClipScore(estimate_mean(each), len(judged), paper)
        per_item[kind] = values_by_item(judged.prompts, {"score": each})
    captions = [prompt for judged in pictures.values() for prompt in judged.prompts]
    warnings = note_on_part(clip.protocol.name, clip.protocol.weights, involved or {})
    return ClipScoreResult(weight, clip.num_truncated(captions), scores, per_item, warnings)


def print_scores(result: ClipScoreResult, source: str) -> None:
    """Two rows per kind of pictures. source: where the prompts are from."""
    title = (
        f"CLIP score (cosine x {result.weight:g}) and CLIP-S (cosine x {PAPER_WEIGHT:g}), "
        f"prompts of {source}"
    )
    sizes = [each.pictures for each in result.scores.values()]
    print_estimates(
        title,
        result,
        quantity="score",
        digits=[".2f", ".3f"] * len(sizes),
        column="pictures",
        cells=[str(size) for size in sizes for _ in range(2)],
    )
    fewest = min(sizes)
    print_notes([*too_few("mean", fewest), *result.warnings])
