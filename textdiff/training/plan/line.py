"""What grows with the batch: a line through readings at two small ones, and how far it may be off.

y(B) = y_1 + t (y_2 - y_1),  t = (B - B_1) / (B_2 - B_1)
error(B)^2 = ((1 - t) error_1)^2 + (t error_2)^2 + (least y(B))^2
"""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Reading:
    """y, within plus or minus `error`, at a batch size."""

    batch: int
    value: float
    error: float


@dataclass(frozen=True)
class Estimate:
    """value, within plus or minus `error`."""

    value: float
    error: float

    @property
    def high(self) -> float:
        return self.value + self.error

    @property
    def low(self) -> float:
        return self.value - self.error


@dataclass(frozen=True)
class Line:
    """Through two readings at different batch sizes, never falling.

    least: share of a value that it may always be off by: another run differs so much.
    """

    first: Reading
    second: Reading
    least: float

    @property
    def slope(self) -> float:
        """Per sample of the batch, 0 or more."""
        rise = self.second.value - self.first.value
        return max(0.0, rise / (self.second.batch - self.first.batch))

    @property
    def start(self) -> float:
        """At a batch of none."""
        return self.second.value - self.slope * self.second.batch

    def at(self, batch: float) -> Estimate:
        share = (batch - self.first.batch) / (self.second.batch - self.first.batch)
        value = self.start + self.slope * batch
        parts = ((1 - share) * self.first.error, share * self.second.error, self.least * value)
        return Estimate(value, math.hypot(*parts))
