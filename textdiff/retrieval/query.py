"""What is asked of an index, and what comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from PIL.Image import Image

T = TypeVar("T")


@dataclass(frozen=True)
class Weighted(Generic[T]):
    """A part of a query. weight: how much it counts, below 0 what is to be unlike it."""

    value: T
    weight: float = 1.0


@dataclass(frozen=True)
class Query:
    """Texts and pictures whose unit features, times their weights, are summed and made unit."""

    texts: Sequence[Weighted[str]] = field(default=())
    pictures: Sequence[Weighted[Image]] = field(default=())


@dataclass(frozen=True)
class Hit:
    """A picture of the index.

    row: its number. score: cosine of its features with the query's. likeness: with those parts of
    the query alone that it should be like, which the threshold is for. caption: its first one, or
    "". where: its file, or its source and its name there. group_size: pictures that nearly equal
    it, itself included, among those that were looked at; only it is listed.
    """

    row: int
    score: float
    likeness: float
    caption: str
    where: str
    group_size: int = 1


@dataclass(frozen=True)
class Found:
    """hits: by descending score. threshold: what the likeness of a match is above; None: the index
    cannot tell. quantile: share of queries about something else that nothing is above it for.
    seconds: that the search took, the query's features included. recall: share of the exact hits
    that an approximate search finds; None: this one is exact."""

    hits: list[Hit]
    threshold: float | None
    quantile: float | None
    seconds: float
    recall: float | None = None

    @property
    def matches(self) -> list[Hit]:
        """Hits above the threshold, or all where there is none."""
        if self.threshold is None:
            return self.hits
        return [hit for hit in self.hits if hit.likeness > self.threshold]

    @property
    def nothing_matches(self) -> bool:
        """Whether no hit is above the threshold."""
        return not self.matches
