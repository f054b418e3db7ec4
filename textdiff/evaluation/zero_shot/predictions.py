"""The best classes of each picture, a line of JSON each.

{"picture": "a.png", "truth": "apple", "rank": 1, "classes": ["apple", ...], "probabilities": [...]}
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from textdiff.data import CaptionedImages
from textdiff.evaluation.results import to_json
from textdiff.evaluation.zero_shot.classes import Classes
from textdiff.evaluation.zero_shot.classify import Classified
from textdiff.files import replacing


@dataclass(frozen=True)
class Prediction:
    """classes, probabilities: the best first. truth, rank: None where they are not known."""

    picture: str
    truth: str | None
    rank: int | None
    classes: list[str]
    probabilities: list[float]


def predictions_of(
    classified: Classified, data: CaptionedImages, classes: Classes, top: int
) -> Iterator[Prediction]:
    """In the order of the data. top: classes of each."""
    judged = classified.judged
    for k, index in enumerate(classified.pictures):
        yield Prediction(
            picture=data.identifiers[index],
            truth=classes.names[int(judged.labels[k])] if judged else None,
            rank=int(judged.ranks[k]) if judged else None,
            classes=[classes.names[number] for number in classified.best[k, :top].tolist()],
            probabilities=classified.probabilities[k, :top].tolist(),
        )


def write_predictions(path: str | Path | None, predictions: Iterator[Prediction]) -> None:
    """One line each, if a path is given; says where."""
    if path:
        with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(to_json(each)) + "\n" for each in predictions)
        print(f"predictions: {path}")
