"""A table of rates: a row per aspect and judge, the splits side by side."""

from __future__ import annotations

from textdiff.evaluation.composition.result import NAMES, CompositionResult, rows_of
from textdiff.evaluation.tables import print_table
from textdiff.metrics.bootstrap import Estimate


def print_composition(result: CompositionResult, source: str) -> None:
    """Per cent, and below the table of how many pictures. source: where the prompts are from."""
    splits = {NAMES[split]: rows_of(each) for split, each in result.splits.items()}
    names = dict.fromkeys(name for rows in splits.values() for name in rows)
    gaps = result.seen_minus_unseen
    table = []
    for name in names:
        each = [rows.get(name) for rows in splits.values()]
        row = [name, *(share(kinds.drawn.rate) if kinds else "" for kinds in each)]
        if gaps is not None:
            row.append(points(gaps[name]) if name in gaps else "")
        row.append(", ".join(f"{100 * kinds.real.rate.value:.0f}" for kinds in each if kinds))
        row.append(", ".join(f"{100 * kinds.drawn.chance:.0f}" for kinds in each if kinds))
        table.append(row)
    columns = ["", *splits, *(["gap"] if gaps is not None else []), "real", "chance"]
    print_table(f"Composition of {source}, % of pictures (95% interval)", columns, table)
    for split, counts in result.splits.items():
        nothing = f"; nothing could be read in {counts.nothing:.0%}" if counts.nothing else ""
        print(f"{NAMES[split]}: {counts.pictures} pictures of {counts.prompts} prompts{nothing}")


def share(rate: Estimate) -> str:
    """Such as "91 (86-95)", of a hundred."""
    return f"{100 * rate.value:.0f} ({100 * rate.low:.0f}-{100 * rate.high:.0f})"


def points(gap: Estimate) -> str:
    """Such as "+3 (-2 to 8)", of a hundred."""
    return f"{100 * gap.value:+.0f} ({100 * gap.low:.0f} to {100 * gap.high:.0f})"
