"""Numbers of `textdiff unclip` and what they depend on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated

from textdiff.evaluation.composition.result import Aspect, ReaderProtocol
from textdiff.evaluation.held_out.protocol import Chance, PromptProtocol, ReferenceProtocol
from textdiff.evaluation.held_out.scores import Difference, JudgedScores
from textdiff.evaluation.per_item import PerItem
from textdiff.evaluation.prior.result import PriorModelProtocol
from textdiff.evaluation.protocol import ClipProtocol, DataProtocol, ModelProtocol
from textdiff.evaluation.results import INLINE, OMIT_NONE
from textdiff.metrics.bootstrap import Estimate


@dataclass(frozen=True, kw_only=True)
class UnclipProtocol:
    """model: that draws from text alone; None: there was none. priors: by the name of their route.
    reader: None where the data state no facts. device: that seconds were measured on."""

    metric: str = (
        "unclip: R@1 of prompts, ties count against; KID, unbiased, one block, kernel (cos + 1)^3; "
        "mean over the judges"
    )
    decoder: ModelProtocol
    priors: dict[str, PriorModelProtocol]
    model: ModelProtocol | None
    judges: list[ClipProtocol]
    data: DataProtocol
    prompts: PromptProtocol
    reference: ReferenceProtocol
    reader: ReaderProtocol | None
    sampling: dict[str, object]
    device: str


@dataclass(frozen=True)
class PicturesResult:
    """aspects: by name; empty where the data state no facts. diversity: among the pictures of a
    prompt, mean over the judges; None: there is one of each."""

    aspects: dict[str, Aspect]
    scores: Annotated[JudgedScores, INLINE]
    diversity: Annotated[Estimate | None, OMIT_NONE] = None


@dataclass(frozen=True)
class RouteDifference:
    """A route minus a baseline, in pairs. both: of pictures with the right things in the right
    colours."""

    judged: Annotated[Difference, INLINE]
    both: Annotated[Estimate | None, OMIT_NONE] = None


@dataclass(frozen=True)
class Best:
    """The best route by one number. leads: its number minus that of each other route, in pairs; of
    KID, where less is better, below 0."""

    route: str
    leads: dict[str, Estimate]


@dataclass(frozen=True)
class RouteResult:
    """seconds_per_picture: with those of its embedding. embedding_seconds: of these alone.
    parameters: of the networks that draw, CLIP not counted. differences: by baseline."""

    pictures: Annotated[PicturesResult, INLINE]
    seconds_per_picture: float
    embedding_seconds: float
    parameters: int
    differences: dict[str, RouteDifference]


@dataclass(frozen=True)
class UnclipResult:
    """real: of one real picture of each prompt. routes: by name. best: by number, of the routes
    that see the prompts alone. per_item: of drawn pictures by route, by their prompts."""

    chance: Chance
    real: PicturesResult
    routes: dict[str, RouteResult]
    best: dict[str, Best]
    per_item: dict[str, PerItem] = field(default_factory=dict)

    def estimates(self) -> Iterator[tuple[str, Estimate]]:
        for name, route in self.routes.items():
            yield f"{name}, R@1", route.pictures.scores.held_out.following.at_1
            yield f"{name}, KID", route.pictures.scores.held_out.kid
