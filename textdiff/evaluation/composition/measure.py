"""Rates of drawn and real pictures, split by split.

pictures ── SceneReader ──► readings ── agreement with the scene of each prompt ──► rates
pictures, prompts ── each judge ──► R@1 among the prompts of the split

Pictures of one prompt are no independent observations: intervals are over prompts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from textdiff.clip import ClipModel
from textdiff.clip.features import image_features, text_features
from textdiff.data.scenes.facts import Scene
from textdiff.evaluation.composition.asked import Asked
from textdiff.evaluation.composition.result import (
    SEEN,
    UNSEEN,
    Aspect,
    CompositionResult,
    SplitResult,
)
from textdiff.metrics.bootstrap import Estimate, estimate, estimate_mean, means_of_draws, resample
from textdiff.metrics.composition.agreement import ASPECTS, Agreement, agreement
from textdiff.metrics.composition.reader import Reading, SceneReader
from textdiff.metrics.retrieval import chance_recall, prompt_following

CHANCE_SHIFTS = 64  # other prompts that each one is compared with


@dataclass(frozen=True)
class Values:
    """Whether each of some pictures shows an aspect, (n,), and the prompt of each, (n,)."""

    right: Tensor
    prompt: Tensor


@dataclass(frozen=True)
class Read:
    """Pictures and what was read in each."""

    asked: Asked
    readings: list[Reading]
    agreements: list[Agreement]

    def values(self, aspect: str) -> Values:
        """Over the pictures that the aspect applies to."""
        found = [getattr(each, aspect) for each in self.agreements]
        kept = torch.tensor([each is not None for each in found], dtype=torch.bool)
        right = torch.tensor([bool(each) for each in found], dtype=torch.bool)
        return Values(right[kept], self.asked.prompt[kept])


def read_back(reader: SceneReader, asked: Asked) -> Read:
    readings = reader.read(asked.images)
    agreements = [agreement(each, asked.scene_of(k)) for k, each in enumerate(readings)]
    return Read(asked, readings, agreements)


def measure_composition(
    drawn: Mapping[str, Read], real: Mapping[str, Read], judges: Mapping[str, ClipModel]
) -> CompositionResult:
    """Of each split: drawn pictures, and real ones of the same prompts."""
    splits, values = {}, {}
    for split, read in drawn.items():
        other = real[split]
        chances = chance_rates(read.asked.scenes)
        followed = {name: recalls(judge, read.asked, other.asked) for name, judge in judges.items()}
        values[split] = {name: read.values(name) for name in chances} | {
            f"R@1 {name}": each["drawn"] for name, each in followed.items()
        }
        one_of = chance_recall(len(read.asked.prompts), 1, 1)
        splits[split] = SplitResult(
            prompts=len(read.asked.prompts),
            pictures=len(read.readings),
            nothing=sum(not each.things for each in read.readings) / len(read.readings),
            drawn=rates(read, chances),
            real=rates(other, chances),
            recall_at_1={
                name: {kind: aspect_of(each, one_of) for kind, each in kinds.items()}
                for name, kinds in followed.items()
            },
        )
    if not {SEEN, UNSEEN} <= splits.keys():
        return CompositionResult(splits)
    seen, unseen = values[SEEN], values[UNSEEN]
    both = [name for name in seen if name in unseen]
    return CompositionResult(splits, {name: difference(seen[name], unseen[name]) for name in both})


def rates(read: Read, chances: Mapping[str, float]) -> dict[str, Aspect]:
    """By aspect, of those that have a chance."""
    return {name: aspect_of(read.values(name), chance) for name, chance in chances.items()}


def aspect_of(values: Values, chance: float) -> Aspect:
    """Of no pictures the rate is 0."""
    if not len(values.right):
        return Aspect(estimate(0.0, torch.zeros(2, dtype=torch.float64)), 0, chance)
    prompts = values.prompt.unique(return_inverse=True)[1]
    return Aspect(estimate_mean(values.right, prompts), len(values.right), chance)


def difference(one: Values, other: Values) -> Estimate:
    """Of two rates over prompts that have nothing in common; nan where one is of no pictures."""
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


def recalls(judge: ClipModel, drawn: Asked, real: Asked) -> dict[str, Values]:
    """Whether the judge ranks each picture's prompt first among those of the split."""
    prompts = text_features(judge, drawn.prompts)
    values = {}
    for kind, asked in (("drawn", drawn), ("real", real)):
        ranking = prompt_following(image_features(judge, asked.images), prompts, asked.prompt)
        values[kind] = Values(ranking.ranks <= 1, asked.prompt)
    return values
