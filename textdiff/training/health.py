"""How a run fares: whether its loss rose, and how many of its steps were left out.

    recent   mean loss of the last `WINDOW` steps or so
    lowest   of all `recent` and of the first step's loss
    rose     recent - lowest > max(first - lowest, |lowest|) / 2

The run's own gain is the measure, since losses of other tasks lie elsewhere, some below zero. Each
checkpoint's state.json holds it, so that after a breakdown one from before the rise can be named.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from textdiff.errors import CheckpointError

WINDOW = 20  # steps
IN_A_ROW = 3  # steps left out, of different samples: then it is the weights


@dataclass
class Health:
    """first, recent, lowest: losses, see above; seen: steps that they are of.

    skipped, in_a_row: steps left out, in all and since the last that was not.
    """

    first: float = 0.0
    recent: float = 0.0
    lowest: float = 0.0
    seen: int = 0
    skipped: int = 0
    in_a_row: int = 0

    def see(self, loss: float) -> None:
        """The loss of a step that was taken; finite."""
        self.in_a_row = 0
        if self.seen == 0:
            self.first = self.lowest = loss
        self.seen += 1
        self.recent += (loss - self.recent) / min(self.seen, WINDOW)
        if self.seen >= WINDOW:
            self.lowest = min(self.lowest, self.recent)

    def skip(self) -> None:
        """A step was left out."""
        self.skipped += 1
        self.in_a_row += 1

    def over(self, budget: int) -> str:
        """Why no more steps may be left out, empty while they may; `budget`: how many in all."""
        if self.in_a_row > min(IN_A_ROW, budget):
            return f"steps that were not finite: {self.in_a_row} in a row"
        return f"steps that were not finite: {self.skipped} in all" if self.skipped > budget else ""

    @property
    def rose(self) -> bool:
        """Whether the loss gave back half of what it had gained, or half of itself."""
        return self.recent - self.lowest > max(self.first - self.lowest, abs(self.lowest)) / 2

    @property
    def steady(self) -> bool:
        """Whether one would go on from here: no rise, and the last step was taken."""
        return not self.rose and not self.in_a_row

    def to_json(self) -> dict[str, float]:
        return asdict(self)

    def fill(self, saved: dict[str, Any]) -> None:
        """Takes the values of `to_json`; those that an older checkpoint lacks stay.

        Raises:
            CheckpointError: they are no numbers.
        """
        for name, value in asdict(self).items():
            try:
                setattr(self, name, type(value)(saved.get(name, value)))
            except (ValueError, TypeError, OverflowError):
                raise CheckpointError(f"state.json: health.{name} is no number") from None
