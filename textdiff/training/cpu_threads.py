"""Threads of a training on the CPU: chosen once, for all its processes, and kept when it resumes.

    chosen (see `textdiff.threads`) ──► state.json of each checkpoint ──► the same when resumed

Every process of the run gets the same number, the least that any of them has free: each step waits
for the slowest.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from textdiff import checkpoint
from textdiff.errors import CheckpointError
from textdiff.threads import Threads, choose_threads, use_threads, variable_of_user
from textdiff.training.config import TrainConfig
from textdiff.training.processes import lowest

if TYPE_CHECKING:
    from accelerate import Accelerator

# by torch's launcher and by those of MPI: processes on this machine
ON_THIS_MACHINE = (
    *("LOCAL_WORLD_SIZE", "MPI_LOCALNRANKS"),
    *("OMPI_COMM_WORLD_LOCAL_SIZE", "MV2_COMM_WORLD_LOCAL_SIZE"),
)


def use_training_threads(
    accelerator: Accelerator, config: TrainConfig, checkpoints: Path
) -> Threads | None:
    """Sets the threads of this process; all processes call it together, before they compute.

    Args:
        checkpoints: of the run, whose newest one may say how many it had. With `max_minutes` the
            clock decides the bits anyway, and they are chosen anew.

    Returns:
        What was chosen and why. None on a GPU, where it matters little, unless `config` says.
    """
    asked = None if config.threads == "auto" else config.threads
    if accelerator.device.type != "cpu" and asked is None:
        return None
    recorded = None if config.max_minutes else recorded_threads(checkpoints)
    variable = variable_of_user()
    accelerator.wait_for_everyone()  # and sleep together, or one's start is another's busy core
    threads = choose_threads(
        asked=asked,
        variable=variable,
        recorded=recorded,
        processes=processes_here(accelerator.num_processes),
    )
    least = lowest(accelerator, threads.number)
    if least < threads.number:
        threads = replace(threads, number=least, why=f"{threads.why}; another process has fewer")
    use_threads(threads)
    return threads


def recorded_threads(checkpoints: Path) -> int | None:
    """With how many the newest checkpoint was trained whose state can be read; None: not told."""
    for folder in checkpoint.checkpoints(checkpoints):
        try:
            number = checkpoint.load_state(folder)["threads"]
        except (OSError, CheckpointError, LookupError):  # damaged: `resume` will say so
            continue
        return number if isinstance(number, int) and number > 0 else None
    return None


def processes_here(processes: int) -> int:
    """How many of the run's processes share this machine, by what launched them."""
    told = [os.environ[name] for name in ON_THIS_MACHINE if os.environ.get(name, "").isdigit()]
    return min(processes, int(told[0])) if told and int(told[0]) else processes
