"""Pictures' prompts ranked by a CLIP among the prompts of all of them.

pictures, prompts ── judge ──► features ──► rank of each picture's own prompt ──► R@1, R@5
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated

import torch

from textdiff.errors import DataError
from textdiff.evaluation.features.cached import CachedFeatures
from textdiff.evaluation.features.feature_set import FeatureSet
from textdiff.evaluation.per_item import PerItem, values_by_item
from textdiff.evaluation.protocol import ClipProtocol, DataProtocol, ModelProtocol
from textdiff.evaluation.results import Key
from textdiff.evaluation.tables import print_estimates, print_notes
from textdiff.metrics.bootstrap import Estimate, estimate_mean
from textdiff.metrics.retrieval import chance_recall, prompt_following
from textdiff.metrics.sample_size import too_few


@dataclass(frozen=True, kw_only=True)
class PromptFollowingProtocol:
    metric: str = "prompt following R@k, ties count against"
    prompt_seed: int
    model: ModelProtocol
    judge: ClipProtocol
    data: DataProtocol
    sampling: dict[str, object]


@dataclass(frozen=True)
class Rates:
    """Shares of pictures whose prompt ranks among the first."""

    at_1: Annotated[Estimate, Key("R@1")]
    at_5: Annotated[Estimate, Key("R@5")]

    def by_k(self) -> dict[int, Estimate]:
        return {1: self.at_1, 5: self.at_5}


@dataclass(frozen=True)
class PromptFollowingResult:
    """prompts: N, among which each picture's is ranked. rates: by kind of pictures. per_item: by
    kind, the "rank" of each prompt."""

    prompts: int
    rates: Annotated[dict[str, Rates], Key("results")]
    per_item: dict[str, PerItem] = field(default_factory=dict)

    def estimates(self) -> Iterator[tuple[str, Estimate]]:
        for kind, rates in self.rates.items():
            for k, rate in rates.by_k().items():
                yield f"{kind} pictures R@{k}", rate


def measure_prompt_following(
    judge: CachedFeatures, pictures: Mapping[str, FeatureSet]
) -> PromptFollowingResult:
    """Rates of each kind of pictures, such as drawn and real ones; all have the same prompts.

    Raises:
        UsageError: `judge` is no CLIP. DataError: fewer than two prompts.
    """
    prompts = next(iter(pictures.values())).prompts
    if len(prompts) < 2:
        raise DataError(
            "1 prompt, which is the first among all; prompt following needs two or more"
        )
    candidates, own = judge.of_captions(prompts), torch.arange(len(prompts))
    rates, per_item = {}, {}
    for kind, judged in pictures.items():
        ranks = prompt_following(judged.features, candidates, own).ranks
        rates[kind] = Rates(at_1=estimate_mean(ranks <= 1), at_5=estimate_mean(ranks <= 5))
        per_item[kind] = values_by_item(prompts, {"rank": ranks})
    return PromptFollowingResult(len(prompts), rates, per_item)


def print_rates(result: PromptFollowingResult, source: str) -> None:
    """A row per kind of pictures and k. source: where the prompts are from."""
    ranks = [k for rates in result.rates.values() for k in rates.by_k()]
    chances = [f"{chance_recall(result.prompts, 1, k):.1%}" for k in ranks]
    title = f"Prompt following among {result.prompts} prompts of {source}"
    print_estimates(title, result, quantity="rate", digits=".1%", column="chance", cells=chances)
    print_notes(too_few("mean", result.prompts))
