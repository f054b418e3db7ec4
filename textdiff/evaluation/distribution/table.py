"""The table of `textdiff distribution`: drawn pictures beside real ones against real ones."""

from __future__ import annotations

import sys

from textdiff.evaluation.distribution.result import DistributionResult
from textdiff.evaluation.tables import estimate_cells, print_table
from textdiff.metrics.bootstrap import Estimate

# name, digits and what is better, by field
ROWS = {
    "frechet": ("Frechet distance", ".4g", "lower"),
    "kid": ("KID", ".4g", "lower"),
    "cmmd": ("CMMD", ".4g", "lower"),
    "precision": ("precision", ".1%", "higher"),
    "recall": ("recall", ".1%", "higher"),
    "density": ("density", ".3f", "higher"),
    "coverage": ("coverage", ".1%", "higher"),
    "diversity": ("diversity", ".4f", "higher"),
    "copied": ("copied", ".1%", "at most real"),
}


def print_distribution(result: DistributionResult, source: str, by: str) -> None:
    """A row per metric, then what is to be known of them on stderr.

    Args:
        source: what the real pictures are.
        by: whose features.
    """
    beside = {name: each.value for name, each in result.real.estimates()} if result.real else {}
    if result.copying:
        beside["copied"] = result.copying.chance
    rows = [
        [*estimate_row(name, each), _cell(beside.get(name), ROWS[name][1]), ROWS[name][2]]
        for name, each in result.estimates()
    ]
    columns = ["", "drawn", "95% interval", "real halves", "better"]
    title = f"{result.drawn.pictures} pictures against {result.drawn.real} of {source}, by {by}"
    if result.real:
        title += f"; real halves: {result.real.pictures} of these against {result.real.real} others"
    print_table(title, columns, rows)
    for sentence in result.warnings:
        print(f"note: {sentence}", file=sys.stderr)


def estimate_row(name: str, estimate: Estimate) -> list[str]:
    label, digits, _ = ROWS[name]
    return estimate_cells(label, estimate, digits)


def _cell(value: float | None, digits: str) -> str:
    return "" if value is None else f"{value:{digits}}"
