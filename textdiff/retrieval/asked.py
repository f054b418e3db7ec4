"""What was typed as a query, and the answer to it in JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from textdiff.data.picture_files import read_picture
from textdiff.errors import UsageError
from textdiff.evaluation.protocol import ClipProtocol
from textdiff.retrieval.index import Index
from textdiff.retrieval.query import Found, Hit, Query, Weighted
from textdiff.retrieval.settings import IndexSearchSettings


@dataclass(frozen=True)
class Part:
    """Of a query. value: a text, or the file of a picture."""

    kind: Literal["text", "picture"]
    value: str
    weight: float


@dataclass(frozen=True)
class Answer:
    """What was asked of which index, and the hits that were listed. near: as `Searcher.search`;
    the rest as `Found`."""

    index: str
    pictures: int
    clip: ClipProtocol
    query: list[Part]
    near: float | None
    threshold: float | None
    quantile: float | None
    nothing_matches: bool
    recall: float | None
    seconds: float
    hits: list[Hit]


def parts_of(settings: IndexSearchSettings) -> list[Part]:
    """In the order of --weights. Raises UsageError: none, or not a weight each."""
    if not settings.text and not settings.picture:
        raise UsageError("an empty query: give a text, or --picture FILE")
    lists = (settings.text, settings.picture, settings.minus, settings.minus_picture)
    count = sum(map(len, lists))
    if settings.weights and len(settings.weights) != count:
        raise UsageError(
            f"--weights has {len(settings.weights)}, the query {count} parts; give one each"
        )
    weights = iter(settings.weights or [1.0] * count)
    parts = [Part("text", text, next(weights)) for text in settings.text]
    parts += [Part("picture", file, next(weights)) for file in settings.picture]
    parts += [Part("text", text, -next(weights)) for text in settings.minus]
    return parts + [Part("picture", file, -next(weights)) for file in settings.minus_picture]


def query_of(parts: Sequence[Part]) -> Query:
    """Reads the pictures. Raises UsageError: no such file. BadImage: one that cannot be used."""
    texts, pictures = [], []
    for part in parts:
        if part.kind == "text":
            texts.append(Weighted(part.value, part.weight))
        else:
            flag = "--picture" if part.weight > 0 else "--minus-picture"
            pictures.append(Weighted(read_picture(flag, part.value), part.weight))
    return Query(texts, pictures)


def title_of(parts: Sequence[Part]) -> str:
    """Such as: "cat" + 0.5 x a.png - "dog"."""
    words = []
    for number, part in enumerate(parts):
        sign = "- " if part.weight < 0 else "+ " if number else ""
        size = "" if abs(part.weight) == 1 else f"{abs(part.weight):g} x "
        words.append(f"{sign}{size}" + (f'"{part.value}"' if part.kind == "text" else part.value))
    return " ".join(words)


def answer_of(
    settings: IndexSearchSettings, index: Index, found: Found, listed: Sequence[Hit]
) -> Answer:
    extractor = index.manifest.extractor
    size = extractor.preprocessing.image_size
    return Answer(
        index=settings.index,
        pictures=len(index),
        clip=ClipProtocol(index.manifest.clip, extractor.weights, size),
        query=parts_of(settings),
        near=settings.near,
        threshold=found.threshold,
        quantile=found.quantile,
        nothing_matches=found.nothing_matches,
        recall=found.recall,
        seconds=found.seconds,
        hits=list(listed),
    )
