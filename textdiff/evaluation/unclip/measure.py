"""Pictures of one route, measured: what they show, by whom they are recognised, how they look.

    pictures ── SceneReader ──► composition                where the data state facts
             ── each judge ──► R@1, KID; diversity among the pictures of a prompt, mean over judges

Pictures of one prompt are no independent observations: intervals are over prompts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from textdiff.data.scenes.facts import Scene
from textdiff.evaluation.composition.asked import Asked
from textdiff.evaluation.composition.measure import Read, Values, aspect_of, read_back, shown_by
from textdiff.evaluation.held_out.differences import difference
from textdiff.evaluation.held_out.measure import Evaluator, Judged, judge_pictures
from textdiff.evaluation.held_out.scores import JudgedScores
from textdiff.evaluation.per_item import PerItem, values_by_item
from textdiff.evaluation.unclip.result import Best, PicturesResult, RouteDifference
from textdiff.metrics.bootstrap import Estimate, estimate_mean
from textdiff.metrics.composition.reader import SceneReader
from textdiff.metrics.diversity import diversity_of_prompts
from textdiff.metrics.paired import Clustered, estimate_difference
from textdiff.types import PerSample, Pictures

MAIN_ASPECT = "both"


@dataclass(frozen=True)
class Facts:
    """What m prompts say, how it is read, and the chance of each aspect."""

    scenes: list[Scene]
    reader: SceneReader
    chances: Mapping[str, float]


@dataclass(frozen=True)
class Measured:
    """Pictures of m prompts, `per_prompt` of each in a row, by the judges and by the reader.

    read, chances: None and empty where the data state no facts.
    """

    prompts: Sequence[str]
    judged: Judged
    scores: JudgedScores
    read: Read | None
    chances: Mapping[str, float]

    @property
    def owners(self) -> list[str]:
        """The prompt of each picture."""
        return [self.prompts[k] for k in self.judged.prompt.tolist()]

    @property
    def main(self) -> Values | None:
        """Whether each picture has the main aspect, which applies to all."""
        return None if self.read is None else self.read.values(MAIN_ASPECT)

    def result(self) -> PicturesResult:
        read, diversities = self.read, self.diversities()
        aspects = {
            name: aspect_of(read.values(name), chance)
            for name, chance in self.chances.items()
            if read is not None
        }
        diversity = None if diversities is None else estimate_mean(diversities)
        return PicturesResult(aspects, self.scores, diversity)

    def diversities(self) -> PerSample | None:
        """Of each prompt, mean over the judges; None: there is one picture of each."""
        if self.judged.per_prompt == 1:
            return None
        by_judge = [
            diversity_of_prompts(features, self.judged.per_prompt)
            for features in self.judged.features.values()
        ]
        return torch.stack(by_judge).mean(dim=0)

    def per_item(self) -> PerItem:
        """By prompt: whether each picture shows each aspect, and whether its prompt ranks first: by
        each judge, and the share of them."""
        values = {} if self.read is None else shown_by(self.read, self.chances)
        values["R@1"] = self.judged.mean.at_1
        values |= {f"R@1 {name}": each.at_1 for name, each in self.judged.following.items()}
        return values_by_item(self.owners, values)


def measure_pictures(
    evaluators: Mapping[str, Evaluator],
    facts: Facts | None,
    prompts: Sequence[str],
    images: Pictures,
) -> Measured:
    """images: (m k, 3, S, S), k of each of the m prompts, those of the first prompt first."""
    judged = judge_pictures(evaluators, images, len(images) // len(prompts))
    read = None
    if facts is not None:
        asked = Asked(list(prompts), facts.scenes, images, judged.prompt)
        read = read_back(facts.reader, asked)
    chances = {} if facts is None else facts.chances
    return Measured(prompts, judged, judged.scores(), read, chances)


def difference_of(route: Measured, baseline: Measured) -> RouteDifference:
    """`route` minus `baseline`, in pairs."""
    judged = difference(route.scores, baseline.scores)
    mine, others, both = route.main, baseline.main, None
    if mine is not None and others is not None:
        before, after = (Clustered(each.right, each.prompt) for each in (others, mine))
        both = estimate_difference(before, after).difference
    return RouteDifference(judged, both)


def best_routes(routes: Mapping[str, Measured]) -> dict[str, Best]:
    """By number: the best of these routes, and what it leads each of the others by."""
    values = {name: values_of(each) for name, each in routes.items()}
    best = {}
    for number in next(iter(values.values())):
        sign = -1 if number == "KID" else 1
        first = max(values, key=lambda name: sign * values[name][number])
        leads = {
            name: of_number(number, difference_of(routes[first], each))
            for name, each in routes.items()
            if name != first
        }
        best[number] = Best(first, leads)
    return best


def values_of(route: Measured) -> dict[str, float]:
    """The numbers by which routes are told apart."""
    held_out, main = route.scores.held_out, route.main
    values = {"R@1": held_out.following.at_1.value, "KID": held_out.kid.value}
    if main is not None:
        values[MAIN_ASPECT] = main.right.double().mean().item()
    return values


def of_number(number: str, found: RouteDifference) -> Estimate:
    """One of its differences, by the names of `values_of`."""
    if number == "KID":
        return found.judged.kid
    if number == "R@1":
        return found.judged.at_1
    assert found.both is not None  # all routes are read, or none
    return found.both
