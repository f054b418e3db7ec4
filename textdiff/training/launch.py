"""Processes and devices: how training starts, whatever launched it."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from textdiff.errors import LostProcessError, UsageError
from textdiff.threads import VARIABLES, set_by_launcher
from textdiff.training.launcher import FIRST, watch_launchers

if TYPE_CHECKING:
    from accelerate import Accelerator

PATIENCE = timedelta(hours=24)  # while one process draws samples or fills a cache


def start_all_processes() -> None:
    """Makes `accelerate launch --cpu --num_processes N` start N processes.

    Its launcher starts one and leaves the others to mpirun (accelerate 1.15, `simple_launcher`), so
    that without MPI a run would silently have one. Here that one turns into torch's launcher with
    the numbers accelerate was given. Does nothing in every other case.

    From here on the end of what launched this process is noticed, see `launcher`.

    Raises:
        UsageError: the numbers cannot be found out; the message names the command to use instead.
    """
    _start_all_processes()
    watch_launchers()


def _start_all_processes() -> None:
    by_accelerate = {"ACCELERATE_MIXED_PRECISION", "MASTER_ADDR"} <= os.environ.keys()
    ranks = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
    if not by_accelerate or any(name in os.environ for name in ranks):
        return
    for name in filter(set_by_launcher, VARIABLES):
        del os.environ[name]  # or the user would seem to have set it for torch's launcher
    import psutil
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser

    try:
        launcher = psutil.Process(os.getppid())
        arguments = launcher.cmdline()
        names = ("launch", "accelerate-launch", "accelerate.commands.launch", "launch.py")
        first = 1 + next(i for i, w in enumerate(arguments) if w.rsplit("/", 1)[-1] in names)
        with contextlib.redirect_stderr(io.StringIO()):
            parsed = launch_command_parser().parse_args(arguments[first:])
        launched, _, _ = _validate_launch_command(parsed)
    except (psutil.Error, StopIteration, SystemExit, ValueError):
        raise UsageError(
            "accelerate started one process of several; on CPUs use: "
            f"torchrun --nproc_per_node N {' '.join(sys.argv)}"
        ) from None
    machines = launched.num_machines or 1
    where = ["--standalone"]
    if machines > 1:
        where = [f"--nnodes={machines}", f"--node_rank={launched.machine_rank}"]
        where += [f"--{name}={os.environ[name.upper()]}" for name in ("master_addr", "master_port")]
    count = f"--nproc_per_node={launched.num_processes // machines}"
    os.environ[FIRST] = str(launcher.pid)
    command = [sys.executable, "-m", "torch.distributed.run", *where, count, *sys.argv]
    os.execv(sys.executable, command)


def accelerator_for(
    precision: str, rank_timeout: float = 10.0, checkpoints: Path | None = None
) -> Accelerator:
    """Processes and devices as accelerate was launched, precision as probed.

    Args:
        rank_timeout: minutes until all processes must have come.
        checkpoints: of a run that may go on, whose precision stays.

    Raises:
        LostProcessError: some have not.
    """
    import torch
    from accelerate import Accelerator
    from accelerate.utils import broadcast_object_list

    from textdiff.training.precision import choose_precision, recorded_precision

    # stated: unless `cpu` is given, accelerate runs each of several CPU processes on its own
    asked = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes")
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    cpu = asked or not (cuda or mps)
    device = "cpu" if cpu else "cuda" if cuda else "mps"
    _meet(cpu, rank_timeout)
    recorded = recorded_precision(checkpoints) if checkpoints else None
    chosen = broadcast_object_list([choose_precision(precision, device, recorded)])[0]
    return Accelerator(cpu=cpu, mixed_precision=chosen)


def _meet(cpu: bool, minutes: float) -> None:
    """All processes of the run, which then may wait long for each other: whether they are alive is
    seen elsewhere, see `rank_watch`. Raises LostProcessError."""
    from accelerate.state import PartialState
    from torch import distributed

    try:
        PartialState(cpu=cpu, timeout=timedelta(minutes=minutes))
    except distributed.DistError as error:
        here, count = os.environ.get("RANK", "?"), os.environ.get("WORLD_SIZE", "?")
        raise LostProcessError(
            f"process {here} of {count} met not all others within {minutes:g} minutes "
            f"(--train.rank-timeout): {str(error).splitlines()[0]}"
        ) from None
    if distributed.is_initialized():
        _set_timeout(PATIENCE)


def _set_timeout(timeout: timedelta) -> None:
    """Of what processes do together; torch before 2.14 has it under another name."""
    from torch import distributed

    if hasattr(distributed, "set_timeout"):
        distributed.set_timeout(timeout, None)
    else:
        distributed.distributed_c10d._set_pg_timeout(timeout, None)
