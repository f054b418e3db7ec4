"""Curves as shapes in a box of WIDTH x HEIGHT: what an SVG needs, without a plotting library.

    step ──► x, from LEFT to WIDTH - RIGHT          value, or its logarithm ──► y, upside down

A page can then colour them for light and dark, and they are sharp at every width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 400, 220
LEFT, RIGHT, TOP, BOTTOM = 46, 20, 10, 24
TICKS = 5  # about so many
DOTTED = 12  # points of a curve up to which each is shown
MOST_POINTS = 240  # of a curve; of more, means of neighbours
DECADES = (1, 2, 5)
TINY = 1e-30  # below it no logarithm is taken: it would stretch the axis beyond reading

Point = tuple[float, float]


@dataclass(frozen=True)
class Curve:
    """name: in the legend. points: (step, value), in order of the steps. faint: what another curve
    is the mean of."""

    name: str
    points: Sequence[Point]
    faint: bool = False


@dataclass(frozen=True)
class Tick:
    """at: x or y in the box."""

    at: float
    label: str


@dataclass(frozen=True)
class Line:
    """path: as SVG writes it. dots: drawn besides where points are few. last: the last value.
    colour: number of its name among those of the plot."""

    name: str
    colour: int
    path: str
    dots: list[Point]
    last: str
    faint: bool


@dataclass(frozen=True)
class Plot:
    """lines: in order. x_ticks, y_ticks: of the axes."""

    lines: list[Line]
    x_ticks: list[Tick]
    y_ticks: list[Tick]


@dataclass(frozen=True)
class Axis:
    """Values from `low` to `high` onto `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        low, high, value = (self._scaled(each) for each in (self.low, self.high, value))
        share = (value - low) / (high - low) if high > low else 0.5
        return round(self.start + share * (self.end - self.start), 1)

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.log else value

    def ticks(self) -> list[Tick]:
        values = log_ticks(self.low, self.high) if self.log else linear_ticks(self.low, self.high)
        return [Tick(self.at(value), short(value)) for value in values]


def plot(curves: Sequence[Curve], log: bool = False, until: float = 0) -> Plot:
    """until: step that the axis reaches to at least, from 0 on, so that several plots compare.
    log: whether values are shown by their logarithm; none is, where one is 0 or less.

    Raises:
        ValueError: no points.
    """
    steps = [step for curve in curves for step, _ in curve.points]
    values = [value for curve in curves for _, value in curve.points]
    if not values:
        raise ValueError("no points to plot")
    log = log and min(values) > TINY
    x = Axis(min(0, *steps), max(until, *steps), LEFT, WIDTH - RIGHT)
    y = Axis(*with_room(min(values), max(values), log), HEIGHT - BOTTOM, TOP, log)
    names = list(dict.fromkeys(curve.name for curve in curves))
    lines = [line(curve, names.index(curve.name), x, y) for curve in curves]
    return Plot(lines, x.ticks(), y.ticks())


def with_room(low: float, high: float, log: bool) -> tuple[float, float]:
    """A little more than the values take, so that no curve lies on the edge."""
    if log:
        room = 10 ** max(0.02, 0.04 * (math.log10(high) - math.log10(low)))
        return low / room, high * room
    room = 0.04 * (high - low) or 0.05 * abs(high) or 0.5
    return low - room, high + room


def line(curve: Curve, colour: int, x: Axis, y: Axis) -> Line:
    points = [(x.at(step), y.at(value)) for step, value in thinned(curve.points)]
    path = "M" + "L".join(f"{a:g},{b:g}" for a, b in points) if points else ""
    few = len(points) <= DOTTED
    last = short(curve.points[-1][1]) if curve.points else ""
    return Line(curve.name, colour, path, points if few else [], last, curve.faint)


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """At most so many: means of neighbours, as many in each but for the last."""
    size = math.ceil(len(points) / most)
    if size <= 1:
        return list(points)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(mean([s for s, _ in group]), mean([v for _, v in group])) for group in groups]


def smoothed(points: Sequence[Point], share: float = 0.06) -> list[Point]:
    """Each value's mean with its neighbours, `share` of all points, fewer towards the ends."""
    half = max(1, round(share * len(points) / 2))
    smooth = []
    for k, (step, _) in enumerate(points):
        reach = min(half, k, len(points) - 1 - k)
        near = points[k - reach : k + reach + 1]
        smooth.append((step, mean([value for _, value in near])))
    return smooth


def mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def linear_ticks(low: float, high: float) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten between the two."""
    if not high - low > 1e-9 * max(abs(low), abs(high), TINY):
        return [low]
    rough = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(each * power for each in (1, 2, 5, 10) if each * power >= rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Powers of ten, with 2 and 5 times them where there are few; as linear ones where none is."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for multiples in ((1,), DECADES):
        ticks = [m * 10.0**d for d in decades for m in multiples if low <= m * 10.0**d <= high]
        if len(ticks) >= 3:
            return ticks[:: math.ceil(len(ticks) / (2 * TICKS))]
    return linear_ticks(low, high)


def short(value: float) -> str:
    """Such as "2k", "0.05" or "1e-6"."""
    if value and (abs(value) >= 1e6 or abs(value) < 1e-3):
        return f"{value:.2g}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")
    if abs(value) >= 1e4:
        return f"{value / 1000:g}k" if value % 100 == 0 else f"{value / 1000:.1f}k"
    return f"{value:.4g}"
