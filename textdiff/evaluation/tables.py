"""Tables in the terminal: one look for all commands. What they show is text, never markup."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textdiff.data.text import shown


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


def print_facts(title: str, facts: Iterable[tuple[str, str]]) -> None:
    """What is known of one thing: a row per fact, its name and what is to be said."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(shown(title)), title_justify="left", show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for name, value in facts:
        table.add_row(Text(name), Text(shown(value)))
    Console().print(table)
