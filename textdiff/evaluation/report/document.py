"""What the page is made of, before it is HTML: sections of blocks, all of them values.

    Report ── sections ── blocks: numbers, charts, bars, pictures, tables, facts, text, ...
    Part = what one evaluation adds: a section, its main numbers for the top, its JSON

Texts are plain: the page escapes them. Every block has a `kind`, by which the page lays it out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

from textdiff.evaluation.report.plot import Plot
from textdiff.metrics.bootstrap import Estimate


@dataclass(frozen=True)
class Bar:
    """An estimate on the way from the floor (0) to the ceiling (100), in per cent, within both."""

    low: float
    value: float
    high: float


@dataclass(frozen=True)
class Row:
    """A number with what it lies between, and what it means in one line.

    digits: its format, such as ".1%". floor: what chance gives. ceiling: what real pictures give.
    """

    name: str
    meaning: str
    estimate: Estimate
    digits: str
    floor: float | None = None
    ceiling: float | None = None

    def shown(self, value: float | None) -> str:
        return "" if value is None else f"{value:{self.digits}}"

    @property
    def interval(self) -> str:
        return f"{self.shown(self.estimate.low)} to {self.shown(self.estimate.high)}"

    @property
    def bar(self) -> Bar | None:
        """None without both ends, or where they are the same."""
        if self.floor is None or self.ceiling is None or self.floor == self.ceiling:
            return None
        start, length = self.floor, self.ceiling - self.floor
        ends = (self.estimate.low, self.estimate.value, self.estimate.high)
        low, value, high = (100 * min(1.0, max(0.0, (end - start) / length)) for end in ends)
        return Bar(min(low, high), value, max(low, high))


@dataclass(frozen=True)
class Numbers:
    """floor, ceiling: what stands in these columns, in words; empty: no such column."""

    kind: ClassVar[str] = "numbers"
    title: str
    rows: list[Row]
    floor: str = "chance"
    ceiling: str = "real pictures"


@dataclass(frozen=True)
class Picture:
    """source: a data: URI. alt: for those who do not see it. caption: below it; badge: its number.
    pixels: whether it is so small that its pixels are to stay squares."""

    source: str
    alt: str
    caption: str = ""
    badge: str = ""
    pixels: bool = True


@dataclass(frozen=True)
class Gallery:
    kind: ClassVar[str] = "gallery"
    title: str
    about: str
    pictures: list[Picture]


@dataclass(frozen=True)
class Pairs:
    """Each picture above another one."""

    kind: ClassVar[str] = "pairs"
    title: str
    about: str
    pairs: list[tuple[Picture, Picture]]


@dataclass(frozen=True)
class Timeline:
    """rows: by prompt, a picture for each of `steps`."""

    kind: ClassVar[str] = "timeline"
    steps: list[int]
    rows: list[tuple[str, list[Picture]]]


@dataclass(frozen=True)
class Chart:
    title: str
    meaning: str
    plot: Plot


@dataclass(frozen=True)
class Charts:
    kind: ClassVar[str] = "charts"
    charts: list[Chart]


@dataclass(frozen=True)
class Bars:
    """How many of each: (what, count)."""

    kind: ClassVar[str] = "bars"
    title: str
    about: str
    bars: list[tuple[str, int]]

    @property
    def most(self) -> int:
        """At least 1, so that shares of it exist."""
        return max([count for _, count in self.bars], default=0) or 1


@dataclass(frozen=True)
class Table:
    """Texts in rows: a name, numbers, and in the last column a text of any length."""

    kind: ClassVar[str] = "table"
    title: str
    columns: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Facts:
    kind: ClassVar[str] = "facts"
    title: str
    facts: list[tuple[str, str]]


@dataclass(frozen=True)
class Text:
    """A text in its own lines, such as YAML. folded: shown when it is asked for."""

    kind: ClassVar[str] = "text"
    title: str
    text: str
    folded: bool = True


@dataclass(frozen=True)
class Notes:
    """What to know of the numbers above, a sentence each."""

    kind: ClassVar[str] = "notes"
    notes: list[str]


@dataclass(frozen=True)
class Missing:
    """What is not here, why, and what to do to have it."""

    kind: ClassVar[str] = "missing"
    what: str
    why: str
    remedy: str = ""


Block: TypeAlias = (
    Numbers | Gallery | Pairs | Timeline | Charts | Bars | Table | Facts | Text | Notes | Missing
)


@dataclass(frozen=True)
class Section:
    """anchor: its name in links."""

    anchor: str
    title: str
    lead: str
    blocks: list[Block]


@dataclass(frozen=True)
class Part:
    """headlines: rows for the top of the page. numbers: for the JSON."""

    section: Section
    headlines: list[Row] = field(default_factory=list)
    numbers: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """about: (name, value) of what stands at the top. missing: what no section could be made of."""

    title: str
    about: list[tuple[str, str]]
    headlines: list[Row]
    sections: list[Section]
    version: str

    @property
    def missing(self) -> list[tuple[Section, Missing]]:
        """With the section that each stands in."""
        return [
            (section, block)
            for section in self.sections
            for block in section.blocks
            if isinstance(block, Missing)
        ]
