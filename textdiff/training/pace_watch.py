"""Says when a training on the CPU has become slow because other work holds its cores.

    median of a minute's steps  >  2 x the best step so far      at most once per quarter of an hour

With several threads one busy core keeps all of them waiting, step after step: a training that began
on a quiet machine then takes four times as long, and nothing else shows why.
"""

from __future__ import annotations

import statistics

WINDOW = 60.0  # seconds
FEWEST = 3  # steps in a window: one alone may have been a machine asleep
SLOW = 2.0
PAUSE = 15 * 60.0  # seconds between two lines


class PaceWatch:
    """Sees every step. threads: that the steps are computed with."""

    def __init__(self, threads: int):
        self.threads = threads
        self._best = float("inf")
        self._steps: list[float] = []
        self._since: float | None = None
        self._said = -float("inf")

    def see(self, seconds: float, now: float) -> str | None:
        """What to tell the user, if anything.

        Args:
            seconds: that the step took, without waiting for pictures, checkpoints and the like.
            now: a clock that goes on while there is no step.
        """
        if self._since is None:
            self._since = now - seconds
        self._best = min(self._best, seconds)
        self._steps.append(seconds)
        if now - self._since < WINDOW or len(self._steps) < FEWEST:
            return None
        median = statistics.median(self._steps)
        self._steps, self._since = [], now
        if median <= SLOW * self._best or now - self._said < PAUSE:
            return None
        self._said = now
        return self._line(median / self._best)

    def _line(self, times: float) -> str:
        cure = "stop it or wait for it"
        if self.threads > 1:
            cure += (
                "; or end this run with Ctrl-C, which saves it, and go on with the same command "
                f"and --train.threads {self.threads // 2}"
            )
        slow = f"steps now take {times:.1f} times as long as the best"
        return f"{slow}: other work holds the cores; {cure}"
