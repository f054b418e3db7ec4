"""Means of what a task reports, between two rows of metrics.jsonl.

Checkpoints hold what was gathered since the last row, so that the rows of a resumed run are those
of one that was never stopped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from textdiff.errors import CheckpointError


@dataclass
class Window:
    """Sums of values by name, and of how many steps each: not all steps have all.

    steps: those that were taken. seconds: since the last row, without evaluations and saves.
    waited: of these, for batches.
    """

    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    steps: int = 0
    seconds: float = 0.0
    waited: float = 0.0

    def add(self, values: Mapping[str, float]) -> None:
        """Those of a step, none of one that was left out."""
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + 1
        self.steps += bool(values)

    def means(self) -> dict[str, float]:
        return {name: value / self.counts[name] for name, value in self.sums.items()}

    def clear(self) -> None:
        """A row was written."""
        self.sums, self.counts, self.steps, self.seconds, self.waited = {}, {}, 0, 0.0, 0.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def fill(self, saved: Mapping[str, Any]) -> None:
        """Takes the values of `to_json`; those that an older checkpoint lacks stay.

        Raises:
            CheckpointError: they are of other types.
        """
        try:
            self.sums = {name: float(value) for name, value in saved.get("sums", {}).items()}
            self.counts = {name: int(saved["counts"][name]) for name in self.sums}
            self.steps = int(saved.get("steps", 0))
            self.seconds, self.waited = (float(saved.get(k, 0.0)) for k in ("seconds", "waited"))
        except (ValueError, TypeError, AttributeError, LookupError, OverflowError):
            raise CheckpointError("state.json: window holds no sums of values") from None


def share_of(windows: list[dict[str, Any]], rank: int, processes: int) -> dict[str, Any]:
    """What process `rank` of `processes` goes on with: what it had then, or where there were more
    or fewer, the means of all; nothing of a checkpoint that says nothing.

    Raises:
        CheckpointError: they are of other types.
    """
    if not windows:
        return {}
    if processes == len(windows):
        return windows[rank]
    try:
        means = {
            name: sum(each["sums"][name] for each in windows) / len(windows)
            for name in windows[0]["sums"]
        }
    except (TypeError, LookupError):
        raise CheckpointError("state.json: windows hold no sums of values") from None
    return {**windows[0], "sums": means}
