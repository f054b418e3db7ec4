"""The tables of `textdiff compare`: what differs, the paired differences, the rest."""

from __future__ import annotations

from collections.abc import Sequence

from textdiff.evaluation.compare.document import Document
from textdiff.evaluation.compare.protocols import Differing, shortened
from textdiff.evaluation.compare.result import CompareResult, Row
from textdiff.evaluation.tables import estimate_cells, print_notes, print_table

COLUMNS = ["", "A", "B", "B - A", "95% interval", "pairs", "verdict"]


def print_comparison(
    result: CompareResult, compared: Sequence[Differing], a: Document, b: Document
) -> None:
    """Numbers on stdout, notes on stderr."""
    if compared:
        rows = [[each.where, shortened(each.a), shortened(each.b)] for each in compared]
        print_table("What is compared", ["", f"A: {a.path}", f"B: {b.path}"], rows)
    digits = a.kind.digits
    paired = [difference_cells(row, digits) for row in result.rows if row.difference is not None]
    title = f"textdiff {a.kind.command}: A is {a.path}, B is {b.path}"
    if paired:
        print_table(title, COLUMNS, paired)
    unpaired = [both_cells(row, digits) for row in result.rows if row.difference is None]
    if unpaired:
        columns = ["not paired", "A", "95% interval", "B", "95% interval"]
        print_table("" if paired else title, columns, unpaired)
    print_notes(result.notes)


def difference_cells(row: Row, digits: str) -> list[str]:
    found = row.difference
    assert found is not None  # the caller's own choice
    return [
        row.name,
        f"{row.a.value:{digits}}",
        f"{row.b.value:{digits}}",
        f"{found.value:+{digits}}",
        f"{found.low:+{digits}} to {found.high:+{digits}}",
        str(row.items),
        row.verdict,
    ]


def both_cells(row: Row, digits: str) -> list[str]:
    return estimate_cells(row.name, row.a, digits) + estimate_cells(row.name, row.b, digits)[1:]
