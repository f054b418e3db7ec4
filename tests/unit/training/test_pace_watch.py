"""When a line says that other work holds the cores, by a clock that the test turns."""

from __future__ import annotations

import itertools

from textdiff.training.pace_watch import PaceWatch


class Steps:
    """Of a training that began at 1,000 s."""

    def __init__(self, threads: int = 2):
        self.watch, self.now = PaceWatch(threads), 1000.0
        self.said: list[tuple[float, str]] = []

    def take(self, seconds: float, during: float) -> Steps:
        """Steps of `seconds` each, for so long."""
        end = self.now + during
        while self.now < end - 1e-6:
            self.now += seconds
            line = self.watch.see(seconds, self.now)
            if line:
                self.said.append((self.now, line))
        return self


def test_a_minute_of_slow_steps_is_said_with_what_to_do():
    steps = Steps().take(0.2, 120).take(0.7, 130)
    ((_, line),) = steps.said
    assert line == (
        "steps now take 3.5 times as long as the best: other work holds the cores; stop it or wait "
        "for it; or end this run with Ctrl-C, which saves it, and go on with the same command and "
        "--train.threads 1"
    )


def test_one_thread_cannot_become_fewer():
    ((_, line),) = Steps(threads=1).take(0.2, 60).take(0.5, 130).said
    assert line.endswith("other work holds the cores; stop it or wait for it")


def test_it_is_said_again_after_a_quarter_of_an_hour_at_the_earliest():
    steps = Steps().take(0.2, 60).take(0.7, 3600)
    times = [now for now, _ in steps.said]
    assert len(times) == 4
    assert all(later - earlier >= 900 for earlier, later in itertools.pairwise(times))


def test_steady_steps_and_short_disturbances_are_not_said():
    steps = Steps().take(1.0, 2).take(0.2, 300).take(0.38, 300)  # the first ones warm up
    for _ in range(20):
        steps.take(0.2, 40).take(0.9, 15)
    assert steps.said == []


def test_a_machine_that_slept_during_one_step_is_not_busy():
    assert Steps().take(0.2, 60).take(3600.0, 3600).take(0.2, 120).said == []
