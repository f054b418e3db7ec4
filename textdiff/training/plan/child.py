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

SMALL, LARGE = 2, 16
SAME = 0.03  # share by which memory before the first step may differ
SECONDS = 10.0  # of a step at the larger batch
SLOWER = 3.0  # a step whose tensors are followed, than its arithmetic alone
GUESSED_FLOPS = 2e10  # per second and core, where steps are not timed


class _StepError(TextdiffError):
    """As the training's command would end."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.exit_code = code


def measure_twice(job: StepJob, folder: Path) -> tuple[StepReading, StepReading]:
    """At `SMALL` and at a larger batch, whatever `job` says of it. folder: for their files.

    Raises:
        TextdiffError: as the training's command.
    """
    small = replace(job, batch=SMALL, evaluate=not job.live, out=str(folder / "first.json"))
    first = run(small)
    large = max(2 * SMALL, min(LARGE, int(SMALL * SECONDS / seconds_of(first))))
    second = run(replace(job, batch=large, out=str(folder / "second.json")))
    if second.setup > (1 + SAME) * first.setup:  # what was loaded lies in a cache by now
        first = run(small)
    return first, second


def seconds_of(reading: StepReading) -> float:
    """Of a step here."""
    if reading.cost.seconds:
        return min(reading.cost.seconds)
    return SLOWER * (reading.cost.flops or 1) / (GUESSED_FLOPS * reading.threads)


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
