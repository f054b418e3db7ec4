"""Which column of a table holds the images, and which the captions."""

from __future__ import annotations

from collections.abc import Sequence

from textdiff.config import nearest
from textdiff.errors import DataError


def pick_column(
    wanted: str | None, usual: Sequence[str], columns: Sequence[str], where: str
) -> str:
    """The column `wanted`, or the first of `usual` that there is. Raises DataError."""
    if wanted is None:
        for name in usual:
            if name in columns:
                return name
        raise DataError(
            f"{where}: none of the columns {', '.join(usual)}; it has {_listed(columns)}"
        )
    if wanted not in columns:
        hint = nearest(wanted, list(columns))
        raise DataError(f"{where}: no column '{wanted}'; it has {_listed(columns)}; {hint}")
    return wanted


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(map(str, columns)) or "none"
