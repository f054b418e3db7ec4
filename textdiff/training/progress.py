"""Where a run stands in its budget of steps and minutes."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from textdiff.training.config import TrainConfig


@dataclass
class Progress:
    """What a checkpoint's state.json holds of how far the run is."""

    step: int = 0
    seconds: float = 0.0  # of training before this process started
    unevaluated: bool = False  # an evaluation was due after this step, and a signal came
    started: float = field(default_factory=time.monotonic)

    def elapsed(self) -> float:
        """Seconds of training so far, in all processes that the run has had."""
        return self.seconds + time.monotonic() - self.started

    def share(self, config: TrainConfig) -> float:
        """How much of the run is done, in [0, 1]."""
        by_time = self.elapsed() / (60 * config.max_minutes) if config.max_minutes else 0.0
        return min(1.0, max(self.step / config.steps, by_time))
