"""What a source met on its way to its entries: what cannot be used, and what is none of its own.

every row and file -> used (an entry, metadata, a caption file) | flawed | ignored, by reason
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from textdiff.data.text import shown
from textdiff.errors import DataError

SHOWN_FLAWS = 5  # in an error
SHOWN_LETTERS = 600  # of a flaw: names of files and columns can be of any length


@dataclass(frozen=True, slots=True)
class Flaw:
    """A row or file that was meant to be used and cannot be.

    where: its file, with the line if it is a row. reason: one of few, to count by.
    detail: what is wrong with this one, and what would be right.
    """

    where: str
    reason: str
    detail: str

    def __str__(self) -> str:
        return shown(f"{self.where}: {self.detail}", SHOWN_LETTERS)


class FlawedError(DataError):
    """Raised while a row is read, and turned into a `Flaw` by who knows its place."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason

    def at(self, where: str) -> Flaw:
        return Flaw(where, self.reason, str(self))


@dataclass(frozen=True)
class Survey:
    """flaws: in the order of the data. ignored: names of files, by reason. seen: entries and flaws
    together, before `max_images` chooses. used: files by what they are used as."""

    seen: int
    flaws: Sequence[Flaw] = ()
    ignored: dict[str, list[str]] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)

    @property
    def flawed_share(self) -> float:
        return len(self.flaws) / self.seen if self.seen else 0.0

    def check(self, source: str, max_bad_fraction: float) -> None:
        """Raises DataError, with the first flaws in full, if too large a share is flawed."""
        if self.flawed_share <= max_bad_fraction:
            return
        first = "; ".join(map(str, self.flaws[:SHOWN_FLAWS]))
        more = len(self.flaws) - SHOWN_FLAWS
        raise DataError(
            f"{source}: {len(self.flaws)} of {self.seen} rows and files cannot be used, more than "
            f"max_bad_fraction = {max_bad_fraction}: {first}"
            f"{f'; and {more} more' if more > 0 else ''}; 'textdiff data info {source}' lists all"
        )


@runtime_checkable
class Surveyed(Protocol):
    """A `Source` that reads what people wrote, and so may meet flaws."""

    survey: Survey


def survey_of(source: object, entries: int) -> Survey:
    """Its own, or that of a source without flaws."""
    return source.survey if isinstance(source, Surveyed) else Survey(entries)
