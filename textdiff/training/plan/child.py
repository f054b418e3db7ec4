"""Two processes, each of which measures a step: at a small batch, and at the largest that a little
time allows."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

from textdiff.errors import TextdiffError
from textdiff.training.plan.reading import StepJob, StepReading

SMALL, LARGE = 2, 64
SAME = 0.03  # share by which memory before the first step may differ
WORK = 10.0  # seconds of processor time of a step at the larger batch
SLOWER = 3.0  # a step whose tensors are followed, than its arithmetic alone
GUESSED_FLOPS = 2e10  # per second and core, where steps are not timed


class _StepError(TextdiffError):
    """As the training's command would end."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = code


def measure_twice(job: StepJob, folder: Path, most: int) -> tuple[StepReading, StepReading]:
    """At `SMALL` and at a larger batch, whatever `job` says of it.

    Args:
        folder: for the processes' files.
        most: the training's own batch.

    Raises:
        TextdiffError: as the training's command.
    """
    small = replace(job, batch=SMALL, evaluate=not job.live, out=str(folder / "first.json"))
    first = run(small)
    large = max(2 * SMALL, min(LARGE, most, int(SMALL * WORK / work_of(first))))
    # probed once: a busy machine may answer otherwise the next time
    train = {**job.settings.get("train", {}), "precision": first.precision}
    small = replace(small, settings={**job.settings, "train": train})
    second = run(replace(small, batch=large, evaluate=False, out=str(folder / "second.json")))
    if not job.live and second.setup > (1 + SAME) * first.setup:  # caches are filled by now
        first = run(small)
    return first, second


def work_of(reading: StepReading) -> float:
    """Seconds of processor time of a step here."""
    if reading.cost.work:
        return max(1e-3, min(reading.cost.work))
    return SLOWER * (reading.cost.flops or 1) / GUESSED_FLOPS


def run(job: StepJob) -> StepReading:
    """In a process of its own."""
    file = Path(job.out).with_suffix(".job.json")
    file.write_text(json.dumps(asdict(job)), encoding="utf-8")
    print(f"measuring a training step at batch {job.batch} ...", file=sys.stderr, flush=True)
    done = subprocess.run(
        [sys.executable, "-m", "textdiff.training.plan.step", str(file)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"ended with code {done.returncode}"]
        told = "measuring a step: " + lines[-1]
        if done.returncode < 0:
            told += "; too little memory for a batch of two, perhaps"
        raise _StepError(told, max(1, done.returncode))
    return StepReading.from_json(json.loads(Path(job.out).read_text(encoding="utf-8")))
