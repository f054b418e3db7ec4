"""The tables of `textdiff classify`: accuracy and by class, or the best classes of each picture."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from textdiff.evaluation.tables import (
    estimate_cells,
    print_estimates,
    print_notes,
    print_table,
)
from textdiff.evaluation.zero_shot.predictions import Prediction
from textdiff.evaluation.zero_shot.result import UnjudgedResult, ZeroShotResult
from textdiff.metrics.sample_size import too_few

SHOWN_CLASSES = 30
SHOWN_PICTURES = 50


def print_accuracies(result: ZeroShotResult, title: str) -> None:
    """Accuracy beside chance, then a row per class."""
    chances = [f"{rate.chance:.2%}" for rate in result.accuracies.by_name().values()]
    print_estimates(
        title, result, quantity="accuracy", digits=".1%", column="chance", cells=chances
    )
    print_classes(result)
    print_notes(too_few("mean", result.pictures))
    print_cut(result.prompts_cut)


def print_classes(result: ZeroShotResult) -> None:
    """The worst first, no more than can be read."""
    rows = [
        [*estimate_cells(rate.name, rate.accuracy, ".0%"), str(rate.pictures), rate.taken_for or ""]
        for rate in result.classes[:SHOWN_CLASSES]
    ]
    columns = ["class", "accuracy", "95% interval", "pictures", "most often taken for"]
    print_table("By class, the worst first", columns, rows)
    if more := result.classes[SHOWN_CLASSES:]:
        lowest = more[0].accuracy.value
        print(f"and {len(more)} more classes, at {lowest:.0%} or above; --json lists all")


def print_best(result: UnjudgedResult, predictions: Iterator[Prediction], title: str) -> None:
    """A row per picture with its best classes, no more than can be read."""
    rows = [[each.picture, best_cell(each)] for each in islice(predictions, SHOWN_PICTURES)]
    print_table(title, ["picture", "classes"], rows)
    if (more := result.pictures - SHOWN_PICTURES) > 0:
        print(f"and {more} more pictures; --predictions FILE writes all")
    print_cut(result.prompts_cut)


def best_cell(prediction: Prediction) -> str:
    pairs = zip(prediction.classes, prediction.probabilities, strict=True)
    return ", ".join(f"{name} {probability:.0%}" for name, probability in pairs)


def print_cut(prompts_cut: int) -> None:
    if prompts_cut:
        print(f"{prompts_cut} prompts are longer than the text tower reads, and were cut")
