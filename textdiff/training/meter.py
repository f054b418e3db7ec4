"""What a user watches: the progress bar, and one line in metrics.jsonl per `log_every` steps."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from textdiff.training.loop import Trainer


class Meter:
    """Averages what the task reports, over steps and processes."""

    def __init__(self, trainer: Trainer):
        from tqdm import tqdm

        self.trainer, self.sums, self.count = trainer, {}, 0
        config, accelerator = trainer.config, trainer.accelerator
        self.rows = config.batch_size * config.accumulation * accelerator.num_processes
        self.bar = tqdm(
            total=config.steps,
            initial=trainer.progress.step,
            desc=f"training {trainer.task.name}",
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

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *_exception) -> None:
        self.bar.close()

    def add(self, values: dict[str, float], flush: bool) -> None:
        step = self.trainer.progress.step
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.count += 1
        self.bar.update()
        if flush or step % self.trainer.config.log_every == 0:
            self._write(step)

    def _write(self, step: int) -> None:
        accelerator, minutes = self.trainer.accelerator, self.trainer.config.max_minutes
        means = torch.tensor([value / self.count for value in self.sums.values()])
        if accelerator.num_processes > 1:
            means = accelerator.reduce(means.to(accelerator.device), "mean")
        values = dict(zip(self.sums, means.tolist(), strict=True))
        now = time.monotonic()
        speed = self.rows * self.count / (now - self.since)
        values |= {"images_per_second": speed, "seconds": self.trainer.progress.elapsed()}
        self.trainer.run.log(step, values)
        shown = {"loss": f"{values['loss']:.4f}", "img/s": f"{speed:.0f}"}
        if minutes:
            shown["left"] = f"{max(0.0, minutes - values['seconds'] / 60):.1f} min"
        self.bar.set_postfix(shown)
        self.sums, self.count, self.since = {}, 0, now
