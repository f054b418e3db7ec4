"""Live bytes of a training step at any batch, from those at two small ones.

    after the i-th operation   l_i(B) = s_i + a_i B         the operations are the same at any batch
    at most                    E(B) = max over i of l_i(B)

Early in the backward pass activations are there and no gradients, late in it the other way round.
So the peaks of small batches, where gradients decide, say little of large ones, where activations
do; the lines of all operations say both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Envelope:
    """lines: (s, a) of those operations that no other exceeds at every batch."""

    lines: tuple[tuple[float, float], ...]

    @classmethod
    def through(
        cls, first: Sequence[int], second: Sequence[int], batches: tuple[int, int]
    ) -> Envelope:
        """Of the bytes after each operation at two batches. Where these have not as many
        operations, of their largest values alone."""
        if len(first) != len(second):
            first, second = [max(first)], [max(second)]
        small, large = batches
        lines = set()
        for one, other in zip(first, second, strict=True):
            slope = max(0.0, (other - one) / (large - small))
            lines.add((other - slope * large, slope))
        kept: list[tuple[float, float]] = []
        for start, slope in sorted(lines, key=lambda line: (-line[1], -line[0])):
            if not kept or start > kept[-1][0]:
                kept.append((start, slope))
        return cls(tuple(kept))

    def at(self, batch: float) -> float:
        return max(start + slope * batch for start, slope in self.lines)

    def growing(self, batch: float) -> float:
        """What of `at(batch)` grows with the batch."""
        return max((start + slope * batch, slope * batch) for start, slope in self.lines)[1]
