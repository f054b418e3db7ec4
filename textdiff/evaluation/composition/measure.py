"""Rates of drawn and real pictures, split by split.

pictures ── SceneReader ──► readings ── agreement with the scene of each prompt ──► rates
pictures, prompts ── each judge ──► R@1 among the prompts of the split

Pictures of one prompt are no independent observations: intervals are over prompts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from textdiff.data.scenes.facts import Scene
from textdiff.evaluation.composition.asked import Asked
from textdiff.evaluation.composition.result import (
    SEEN,
    UNSEEN,
    Aspect,
    CompositionResult,
    DrawnAndReal,
    SplitResult,
)
from textdiff.evaluation.features.cached import CachedFeatures
from textdiff.evaluation.per_item import PerItem, values_by_item
from textdiff.metrics.bootstrap import Estimate, estimate, estimate_mean, means_of_draws, resample
from textdiff.metrics.composition.agreement import ASPECTS, Agreement, agreement
from textdiff.metrics.composition.reader import Reading, SceneReader
from textdiff.metrics.retrieval import chance_recall, prompt_following
from textdiff.types import PerSample

CHANCE_SHIFTS = 64  # other prompts that each one is compared with


@dataclass(frozen=True)
class Values:
    """Whether each of some pictures shows an aspect, (n,), and the prompt of each, (n,)."""

    right: Bool[Tensor, " n"]
    prompt: Int[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.right)


@dataclass(frozen=True)
class Read:
    """Pictures and what was read in each."""

    asked: Asked
    readings: list[Reading]
    agreements: list[Agreement]

    def agreed(self, aspect: str) -> list[bool | None]:
        """Of each picture; None: the aspect does not apply."""
        return [getattr(each, aspect) for each in self.agreements]

    def values(self, aspect: str) -> Values:
        """Over the pictures that the aspect applies to."""
        found = self.agreed(aspect)
        kept = torch.tensor([each is not None for each in found], dtype=torch.bool)
        right = torch.tensor([bool(each) for each in found], dtype=torch.bool)
        return Values(right[kept], self.asked.prompt[kept])


def read_back(reader: SceneReader, asked: Asked) -> Read:
    readings = reader.read(asked.images)
    agreements = [agreement(each, asked.scene_of(k)) for k, each in enumerate(readings)]
    return Read(asked, readings, agreements)


def measure_composition(
    drawn: Mapping[str, Read], real: Mapping[str, Read], judges: Mapping[str, CachedFeatures]
) -> CompositionResult:
    """Of each split: drawn pictures, and real ones of the same prompts."""
    splits, values, per_item = {}, {}, {}
    for split, read in drawn.items():
        pair = {"drawn": read, "real": real[split]}
        chances = chance_rates(read.asked.scenes)
        aspects = {name: {k: each.values(name) for k, each in pair.items()} for name in chances}
        followed = {
            name: {kind: recalls(judge, each.asked) for kind, each in pair.items()}
            for name, judge in judges.items()
        }
        one_of = chance_recall(len(read.asked.prompts), 1, 1)
        splits[split] = SplitResult(
            prompts=len(read.asked.prompts),
            pictures=len(read.readings),
            nothing=sum(not each.things for each in read.readings) / len(read.readings),
            aspects={name: both_of(each, chances[name]) for name, each in aspects.items()},
            recall_at_1={name: both_of(each, one_of) for name, each in followed.items()},
        )
        per_item[split] = by_prompt(
            read, aspects, {name: each["drawn"] for name, each in followed.items()}
        )
        # not of R@1, which is among the prompts of a split: they differ in number
        values[split] = {name: each["drawn"] for name, each in aspects.items()}
    if not {SEEN, UNSEEN} <= splits.keys():
        return CompositionResult(splits, per_item=per_item)
    seen, unseen = values[SEEN], values[UNSEEN]
    gaps = {
        name: difference(seen[name], unseen[name])
        for name in seen
        if name in unseen and len(seen[name]) and len(unseen[name])
    }
    return CompositionResult(splits, gaps, per_item)


def by_prompt(read: Read, aspects: Iterable[str], recalled: Mapping[str, Values]) -> PerItem:
    """Whether each drawn picture shows each aspect, and its prompt ranks first by each judge."""
    followed = {f"R@1 {judge}": each.right for judge, each in recalled.items()}
    prompts = [read.asked.prompts[prompt] for prompt in read.asked.prompt.tolist()]
    return values_by_item(prompts, {**shown_by(read, aspects), **followed})


def shown_by(read: Read, aspects: Iterable[str]) -> dict[str, PerSample]:
    """Whether each picture shows each aspect, (n,); nan where it does not apply."""
    return {
        name: torch.tensor(
            [math.nan if right is None else float(right) for right in read.agreed(name)]
        )
        for name in aspects
    }


def both_of(values: Mapping[str, Values], chance: float) -> DrawnAndReal:
    return DrawnAndReal(aspect_of(values["drawn"], chance), aspect_of(values["real"], chance))


def aspect_of(values: Values, chance: float) -> Aspect:
    """Of no pictures the rate is 0."""
    if not len(values):
        return Aspect(estimate(0.0, torch.zeros(2, dtype=torch.float64)), 0, chance)
    prompts = values.prompt.unique(return_inverse=True)[1]
    return Aspect(estimate_mean(values.right, prompts), len(values), chance)


def difference(one: Values, other: Values) -> Estimate:
    """Of two rates, over prompts of which they share none."""
    means, resampled = [], []
    for number, values in enumerate((one, other)):
        prompts = values.prompt.unique(return_inverse=True)[1]
        draws = resample(int(prompts.max()) + 1, stream=("bootstrap", number))
        means.append(values.right.double().mean().item())
        resampled.append(means_of_draws(values.right[:, None], draws, prompts)[:, 0])
    return estimate(means[0] - means[1], resampled[0] - resampled[1])


def chance_rates(scenes: Sequence[Scene]) -> dict[str, float]:
    """What flawless pictures of other prompts would reach, by aspect that these scenes have.

    The chance of a relation is that of another prompt's, wherever things are.
    """
    shifts = range(1, min(len(scenes), CHANCE_SHIFTS + 1))
    pairs = [
        (scenes[(k + shift) % len(scenes)], scene)
        for shift in shifts
        for k, scene in enumerate(scenes)
    ]
    found = [agreement(other, scene) for other, scene in pairs]
    chances = {}
    for name in ASPECTS:
        if name == "background" and len({scene.background for scene in scenes}) == 1:
            continue
        if name == "relation":
            related = [(a, b) for a, b in pairs if a.relation and b.relation]
            if related:
                chances[name] = sum(a.relation == b.relation for a, b in related) / len(related)
            continue
        chances[name] = sum(getattr(each, name) for each in found) / max(1, len(found))
    return chances


def recalls(judge: CachedFeatures, asked: Asked) -> Values:
    """Whether the judge ranks each picture's prompt first among all of them."""
    captions = [[asked.prompts[prompt]] for prompt in asked.prompt.tolist()]
    images = judge.of_pictures(asked.images, captions).features
    prompts = judge.of_captions(asked.prompts)
    return Values(prompt_following(images, prompts, asked.prompt).ranks <= 1, asked.prompt)
