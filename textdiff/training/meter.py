"""What a user watches: how far the run is, and one line in metrics.jsonl per `log_every` steps."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import torch

from textdiff.training.config import TrainConfig
from textdiff.training.pace_watch import PaceWatch
from textdiff.training.progress import Progress
from textdiff.training.run_folder import RunFolder
from textdiff.training.window import Window

if TYPE_CHECKING:
    from accelerate import Accelerator

PLAIN_SECONDS = 30.0  # between two lines where there is no terminal
BAR = "{desc} {percentage:3.0f}%|{bar}| {postfix}"


T = TypeVar("T")
SLOW_LOADING = 0.1  # share of the time above which a line says what to change


class Meter:
    """Averages what the task reports, over steps and processes.

    On a terminal a bar, else a plain line every half a minute and at the end. Both follow the one
    clock that ends the run: steps, or minutes where those are over first.

    Args:
        name: of what is trained.
        config: its `steps`, `max_minutes` and `log_every`, and the batch for images per second.
        progress: of the run, which the loop keeps up to date.
        slow_loading: what to say where this share of the time goes into waiting for pictures.
        pace: sees how long each step takes; None: nobody does.
        window: what was gathered since the last row, by a run that is resumed.
    """

    def __init__(
        self,
        *,
        name: str,
        config: TrainConfig,
        progress: Progress,
        run: RunFolder,
        accelerator: Accelerator,
        slow_loading: Callable[[float], str] = "{:.0%} of the time goes into loading".format,
        pace: PaceWatch | None = None,
        window: Window | None = None,
    ):
        from tqdm import tqdm

        self.name, self.config, self.progress, self.run = name, config, progress, run
        self.accelerator = accelerator
        self.window, self.slow_loading = window or Window(), slow_loading
        self.windows = 0  # written so far
        self.said_slow = False
        self.means = ""
        self.rows = config.batch_size * config.accumulation * accelerator.num_processes
        main = accelerator.is_main_process
        self.plain = main and not sys.stderr.isatty()
        self.bar = tqdm(
            total=100.0,
            initial=100 * progress.share(config),
            desc=f"training {name}",
            bar_format=BAR,
            disable=self.plain or not main,
            dynamic_ncols=True,
        )
        self.pace = pace
        self.shown = self.step_since = time.monotonic()
        self.since = self.shown - self.window.seconds
        self.first = (progress.share(config), self.shown)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time inside does not count against images per second."""
        start = time.monotonic()
        yield
        spent = time.monotonic() - start
        self.since += spent
        self.step_since += spent

    def loading(self, steps: Iterator[T]) -> Iterator[T]:
        """The same; the time that each takes to arrive is the loader's."""
        while True:
            start = time.monotonic()
            try:
                step = next(steps)
            except StopIteration:
                return
            spent = time.monotonic() - start
            self.window.waited += spent
            self.step_since += spent
            yield step

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.bar.close()

    def add(self, values: dict[str, float], flush: bool) -> None:
        """The values of the step just done, none of one that was left out; `flush` writes them
        whatever `log_every` says."""
        self.window.add(values)
        self._watch()
        self.window.seconds = time.monotonic() - self.since
        if self.window.steps and (flush or self.progress.step % self.config.log_every == 0):
            self._write()
        self._show(flush)

    def _watch(self) -> None:
        now = time.monotonic()
        line = self.pace.see(now - self.step_since, now) if self.pace else None
        self.step_since = now
        if line:
            self.accelerator.print(line)

    def _write(self) -> None:
        own = self.window.means()
        means = torch.tensor(list(own.values()))
        if self.accelerator.num_processes > 1:
            means = self.accelerator.reduce(means.to(self.accelerator.device), "mean")
        values: dict[str, float] = dict(zip(own, means.tolist(), strict=True))
        now = time.monotonic()
        speed = self.rows * self.window.steps / (now - self.since)
        share = self.window.waited / (now - self.since)
        values |= {"images_per_second": speed, "loader_share": share}
        values |= {"seconds": self.progress.elapsed()}
        self.run.log(self.progress.step, values)
        if share > SLOW_LOADING and self.windows and not self.said_slow:  # workers start in the 1st
            self.accelerator.print(self.slow_loading(share))
            self.said_slow = True
        self.windows += 1
        self.means = f", loss {values['loss']:.4f}, {speed:.0f} images/s"
        self.window.clear()
        self.since = now

    def _show(self, flush: bool) -> None:
        now = time.monotonic()
        if not self.accelerator.is_main_process:
            return
        if self.plain and (flush or now - self.shown >= PLAIN_SECONDS):
            share = self.progress.share(self.config)
            print(f"training {self.name}: {100 * share:.0f}%, {self._where(share)}", flush=True)
            self.shown = now
        elif not self.plain and (flush or now - self.shown >= 1):
            share = self.progress.share(self.config)
            self.bar.n = 100 * share
            self.bar.set_postfix_str(self._where(share))
            self.shown = now

    def _where(self, share: float) -> str:
        """Step, time left, newest means."""
        step = f"step {self.progress.step:,}"
        if not self._by_clock(share):
            step += f" of {self.config.steps:,}"
        done, since = self.first
        left = ""
        if done < share < 1:
            seconds = (time.monotonic() - since) * (1 - share) / (share - done)
            if self._by_clock(share) and self.config.max_minutes:
                seconds = 60 * self.config.max_minutes - self.progress.elapsed()
            left = f", {shown_time(max(0.0, seconds))} left"
        return f"{step}{left}{self.means}"

    def _by_clock(self, share: float) -> bool:
        """Whether the minutes will be over before the steps are."""
        return self.progress.step / self.config.steps < share


def shown_time(seconds: float) -> str:
    """As one reads it off a clock: 40 s, 12 min, 3.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
