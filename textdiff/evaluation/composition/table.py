"""A table of rates: a row per aspect and judge, the splits side by side."""

from __future__ import annotations

from textdiff.evaluation.composition.result import NAMES, CompositionResult, rows_of
from textdiff.evaluation.tables import print_table
from textdiff.metrics.bootstrap import Estimate


def print_composition(result: CompositionResult, source: str) -> None:
    """source: where the prompts are from."""
    splits = {NAMES[split]: rows_of(each) for split, each in result.splits.items()}
    names = list(dict.fromkeys(name for rows in splits.values() for name in rows))
    gaps = result.seen_minus_unseen or {}
    rows = []
    for name in names:
        each = [rows.get(name) for rows in splits.values()]
        cells = [name, *(share(kinds["drawn"].rate) if kinds else "" for kinds in each)]
        if gaps:
            cells.append(points(gaps[name]) if name in gaps else "")
        cells.append(", ".join(f"{kinds['real'].rate.value:.0%}" for kinds in each if kinds))
        cells.append(", ".join(f"{kinds['drawn'].chance:.0%}" for kinds in each if kinds))
        rows.append(cells)
    columns = ["", *splits, *(["seen - unseen"] if gaps else []), "real", "chance"]
    counts = ", ".join(
        f"{each.pictures} of {each.prompts} {NAMES[split]} prompts"
        for split, each in result.splits.items()
    )
    print_table(f"Composition in pictures of {source}: {counts}", columns, rows)
    for split, each in result.splits.items():
        if each.nothing:
            print(f"{NAMES[split]}: nothing could be read in {each.nothing:.0%} of the pictures")


def share(rate: Estimate) -> str:
    """Such as "91% (86 to 95)"."""
    return f"{rate.value:.0%} ({100 * rate.low:.0f} to {100 * rate.high:.0f})"


def points(gap: Estimate) -> str:
    """Such as "+3 (-2 to 8)", in points of a hundred."""
    low, high = 100 * gap.low, 100 * gap.high
    return f"{100 * gap.value:+.0f} ({low:.0f} to {high:.0f})"
