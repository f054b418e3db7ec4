"""What `textdiff compare` finds: the difference B - A of each number, and of what."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from textdiff.evaluation.compare.protocols import Differing
from textdiff.evaluation.results import OMIT_NONE
from textdiff.metrics.bootstrap import Estimate

SAME, HIGHER, LOWER = "the same", "B higher", "B lower"
NONE_SEEN, TOO_FEW, UNPAIRED = "no difference seen", "too few to tell", "not paired"


@dataclass(frozen=True)
class FileProtocol:
    path: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class CompareProtocol:
    """evaluation: whose files these are. common: settings in which they agree, by dotted key.
    compared: those in which they differ."""

    metric: str = "B - A in pairs, 95% percentile bootstrap over the items in common"
    evaluation: str
    a: FileProtocol
    b: FileProtocol
    common: dict[str, object]
    compared: list[Differing]


@dataclass(frozen=True)
class Row:
    """A number of both files.

    a, b: over the items in common. difference: b - a; None: they are not paired, and a and b are
    of all items. items: how many pairs. verdict: in words.
    """

    name: str
    a: Estimate
    b: Estimate
    verdict: str
    difference: Annotated[Estimate | None, OMIT_NONE] = None
    items: Annotated[int | None, OMIT_NONE] = None


@dataclass(frozen=True)
class CompareResult:
    """notes: what to know of the rows, a sentence each."""

    rows: list[Row]
    notes: list[str]

    def estimates(self) -> Iterator[tuple[str, Estimate]]:
        """The differences, by name."""
        for row in self.rows:
            if row.difference is not None:
                yield row.name, row.difference


def verdict(difference: Estimate, items: int) -> str:
    """What the interval of a difference says. items: how many pairs it is over."""
    if difference.value == difference.low == difference.high == 0:
        return SAME
    if items < 2:
        return TOO_FEW
    if difference.low > 0:
        return HIGHER
    return LOWER if difference.high < 0 else NONE_SEEN
