"""One evaluation of a run: held-out numbers, and whether it learns.

average's weights:  task.evaluate ──► task.examine ──► task.quick_loss ─┐
raw weights:                                          task.quick_loss ─┴► metrics.jsonl, in words
"""

from __future__ import annotations

import time
from contextlib import nullcontext

import torch

from textdiff.training.ema import EMA
from textdiff.training.run_folder import RunFolder
from textdiff.training.task import Answering, Examined, InWords, Task


@torch.no_grad()
def evaluate(task: Task, run: RunFolder, step: int, *, ema: EMA | None, examine: bool) -> None:
    """Logs the numbers of the average, or of the weights where there is none, and says them.

    Args:
        examine: ask too what takes more than held-out numbers do, where the task has it.
    """
    task.model.eval()
    seconds = 0.0
    averaged = raw = None
    # other batch sizes, for which compiling takes longer than it saves
    with torch.compiler.set_stance("force_eager"):
        with ema.applied() if ema else nullcontext():
            values = task.evaluate(step, run)
            if examine and isinstance(task, Examined):
                start = time.monotonic()
                values |= task.examine()
                averaged = task.quick_loss() if ema else None
                seconds += time.monotonic() - start
        if averaged is not None and isinstance(task, Examined):
            start = time.monotonic()
            raw = task.quick_loss()
            seconds += time.monotonic() - start
    if averaged is not None and raw:
        values["average/ahead"] = 1 - averaged / raw
    if seconds:
        values["examination_seconds"] = seconds
    if values:
        run.log(step, values)
    _say(task, values, step)


def _say(task: Task, values: dict[str, float], step: int) -> None:
    from tqdm import tqdm

    if values:
        shown = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
        if isinstance(task, InWords):
            shown = task.in_words(values)
        tqdm.write(f"step {step:,}, held out: {shown}")
    if isinstance(task, Answering):
        for number, line in enumerate(task.verdict(values, step)):
            tqdm.write(f"  {line}" if number else f"step {step:,}, {line}")
