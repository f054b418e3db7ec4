"""One evaluation of a run: held-out numbers, and whether it learns.

average's weights:  task.evaluate ──► task.examine ──► task.quick_loss ─┐
raw weights:                                          task.quick_loss ─┴► metrics.jsonl, in words
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch

from textdiff.stopping import Interrupted
from textdiff.training.ema import EMA
from textdiff.training.run_folder import RunFolder
from textdiff.training.task import Answering, Examined, InWords, Task


@torch.no_grad()
def evaluate(
    task: Task,
    run: RunFolder,
    step: int,
    *,
    ema: EMA | None,
    examine: bool,
    interruptible: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> bool:
    """Logs the numbers of the average, or of the weights where there is none, and says them.

    Args:
        examine: ask too what takes more than held-out numbers do, where the task has it.
        interruptible: a block in which `Interrupted` may be raised.

    Returns:
        Whether it was made; interrupted, it leaves no row.
    """
    task.model.eval()
    try:
        values = _measured(task, run, step, ema=ema, examine=examine, interruptible=interruptible)
    except Interrupted:
        return False
    if values:
        run.log(step, values)
    _say(task, values, step)
    return True


def _measured(
    task: Task,
    run: RunFolder,
    step: int,
    *,
    ema: EMA | None,
    examine: bool,
    interruptible: Callable[[], AbstractContextManager[None]],
) -> dict[str, float]:
    """As `evaluate`. Nothing interrupts the exchange of weights."""
    seconds = 0.0
    averaged = raw = None
    # other batch sizes, for which compiling takes longer than it saves
    with torch.compiler.set_stance("force_eager"):
        with ema.applied() if ema else nullcontext(), interruptible():
            values = task.evaluate(step, run)
            if examine and isinstance(task, Examined):
                start = time.monotonic()
                values |= task.examine()
                averaged = task.quick_loss() if ema else None
                seconds += time.monotonic() - start
        if averaged is not None and isinstance(task, Examined):
            start = time.monotonic()
            with interruptible():
                raw = task.quick_loss()
            seconds += time.monotonic() - start
    if averaged is not None and raw:
        values["average/ahead"] = 1 - averaged / raw
    if seconds:
        values["examination_seconds"] = seconds
    return values


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
