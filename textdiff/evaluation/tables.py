"""Tables in the terminal: one look for all commands. What they show is text, never markup."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from textdiff.data.text import shown
from textdiff.evaluation.results import Result
from textdiff.metrics.bootstrap import Estimate


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Names to the left in the first column, numbers to the right in the others."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(shown(title)), title_justify="left")
    for index, column in enumerate(columns):
        table.add_column(Text(shown(column)), justify="left" if index == 0 else "right")
    for row in rows:
        table.add_row(*(Text(shown(cell)) for cell in row))
    Console().print(table)


def print_estimates(
    title: str,
    result: Result,
    *,
    quantity: str,
    digits: str | Sequence[str],
    column: str,
    cells: Sequence[str],
) -> None:
    """A row per estimate of `result`: name, value, interval, and its cell of one more column.

    Args:
        quantity: what the values are.
        digits: their format, such as ".1%"; or one for each.
        column: what `cells`, one per estimate, are.
    """
    formats = [digits] * len(cells) if isinstance(digits, str) else digits
    rows = [
        [*estimate_cells(name, each, form), cell]
        for (name, each), form, cell in zip(result.estimates(), formats, cells, strict=True)
    ]
    print_table(title, ["", quantity, "95% interval", column], rows)


def estimate_cells(name: str, estimate: Estimate, digits: str) -> list[str]:
    """Name, value and interval."""
    interval = f"{estimate.low:{digits}} to {estimate.high:{digits}}"
    return [name, f"{estimate.value:{digits}}", interval]


def percent(share: float) -> str:
    """Such as "61"."""
    return f"{100 * share:.0f}"


def with_interval(estimate: Estimate, unit: float, digits: str) -> str:
    """Value and interval times `unit`, such as "61 (50 to 70)"."""
    ends = (estimate.value, estimate.low, estimate.high)
    value, low, high = (f"{unit * end:{digits}}" for end in ends)
    return f"{value} ({low} to {high})"


def print_notes(sentences: Iterable[str]) -> None:
    """What is to be known of the numbers, on stderr."""
    for sentence in sentences:
        print(f"note: {shown(sentence)}", file=sys.stderr)


def print_facts(title: str, facts: Iterable[tuple[str, str]]) -> None:
    """A row per fact: its name and its value."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(shown(title)), title_justify="left", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in facts:
        table.add_row(Text(name), Text(shown(value)))
    Console().print(table)
