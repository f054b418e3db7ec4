"""What a user watches: the progress bar, and one line in metrics.jsonl per `log_every` steps."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import torch

from textdiff.training.config import TrainConfig
from textdiff.training.progress import Progress
from textdiff.training.run_folder import RunFolder

if TYPE_CHECKING:
    from accelerate import Accelerator


T = TypeVar("T")
SLOW_LOADING = 0.1  # share of the time above which a line says what to change


class Meter:
    """Averages what the task reports, over steps and processes.

    Args:
        name: of what is trained.
        config: its `steps`, `max_minutes` and `log_every`, and the batch for images per second.
        progress: of the run, which the loop keeps up to date.
        slow_loading: what to say where this share of the time goes into waiting for pictures.
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
    ):
        from tqdm import tqdm

        self.config, self.progress, self.run = config, progress, run
        self.accelerator = accelerator
        self.sums: dict[str, float] = {}
        self.count = 0
        self.waited, self.slow_loading = 0.0, slow_loading
        self.windows = 0  # written so far
        self.said_slow = False
        self.rows = config.batch_size * config.accumulation * accelerator.num_processes
        self.bar = tqdm(
            total=config.steps,
            initial=progress.step,
            desc=f"training {name}",
            unit="step",
            disable=not accelerator.is_main_process,
            mininterval=1.0,
            dynamic_ncols=True,
        )
        self.since = time.monotonic()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Time inside does not count against images per second."""
        start = time.monotonic()
        yield
        self.since += time.monotonic() - start

    def loading(self, steps: Iterator[T]) -> Iterator[T]:
        """The same; the time that each takes to arrive is the loader's."""
        while True:
            start = time.monotonic()
            try:
                step = next(steps)
            except StopIteration:
                return
            self.waited += time.monotonic() - start
            yield step

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.bar.close()

    def add(self, values: dict[str, float], flush: bool) -> None:
        """The values of the step just done; `flush` writes them whatever `log_every` says."""
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.count += 1
        self.bar.update()
        if flush or self.progress.step % self.config.log_every == 0:
            self._write()

    def _write(self) -> None:
        means = torch.tensor([value / self.count for value in self.sums.values()])
        if self.accelerator.num_processes > 1:
            means = self.accelerator.reduce(means.to(self.accelerator.device), "mean")
        values: dict[str, float] = dict(zip(self.sums, means.tolist(), strict=True))
        now = time.monotonic()
        speed = self.rows * self.count / (now - self.since)
        share = self.waited / (now - self.since)
        values |= {"images_per_second": speed, "loader_share": share}
        values |= {"seconds": self.progress.elapsed()}
        self.run.log(self.progress.step, values)
        shown = {"loss": f"{values['loss']:.4f}", "img/s": f"{speed:.0f}"}
        if self.config.max_minutes:
            left = max(0.0, self.config.max_minutes - values["seconds"] / 60)
            shown["left"] = f"{left:.1f} min"
        self.bar.set_postfix(shown)
        if share > SLOW_LOADING and self.windows and not self.said_slow:  # workers start in the 1st
            self.accelerator.print(self.slow_loading(share))
            self.said_slow = True
        self.sums, self.count, self.since, self.waited = {}, 0, now, 0.0
        self.windows += 1
