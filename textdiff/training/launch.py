"""What both training commands do before they start and when they are done."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from textdiff.errors import UsageError

if TYPE_CHECKING:
    from accelerate import Accelerator

    from textdiff.config import Settings
    from textdiff.data import CaptionedImages, DataConfig
    from textdiff.training.loop import Trainer


def start_all_processes() -> None:
    """Makes `accelerate launch --cpu --num_processes N` start N processes.

    Its launcher starts one and leaves the others to mpirun (accelerate 1.15, `simple_launcher`), so
    that without MPI a run would silently have one. Here that one turns into torch's launcher with
    the numbers accelerate was given. Does nothing in every other case.

    Raises:
        UsageError: the numbers cannot be found out; the message names the command to use instead.
    """
    by_accelerate = {"ACCELERATE_MIXED_PRECISION", "MASTER_ADDR"} <= os.environ.keys()
    ranks = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
    if not by_accelerate or any(name in os.environ for name in ranks):
        return
    import psutil
    from accelerate.commands.launch import _validate_launch_command, launch_command_parser

    try:
        arguments = psutil.Process().parent().cmdline()
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
    command = [sys.executable, "-m", "torch.distributed.run", *where, count, *sys.argv]
    os.execv(sys.executable, command)


def accelerator_for(precision: str) -> Accelerator:
    """Processes and devices as accelerate was launched, precision as probed."""
    import torch
    from accelerate import Accelerator
    from accelerate.state import PartialState
    from accelerate.utils import InitProcessGroupKwargs, broadcast_object_list

    from textdiff.training.precision import choose_precision

    # said outright: without it, accelerate runs each of several CPU processes on its own
    asked = os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes")
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    cpu = asked or not (cuda or mps)
    device = "cpu" if cpu else "cuda" if cuda else "mps"
    # the others wait while the first draws samples and writes checkpoints
    patience = timedelta(hours=2)
    PartialState(cpu=cpu, timeout=patience)
    chosen = broadcast_object_list([choose_precision(precision, device)])[0]
    handlers = [InitProcessGroupKwargs(timeout=patience)]
    return Accelerator(cpu=cpu, mixed_precision=chosen, kwargs_handlers=handlers)


def open_split(config: DataConfig, split: str) -> CaptionedImages | None:
    """A split of the data; None for a validation split that holds nothing.

    Raises:
        DataError: the training split is empty, or the data cannot be read.
    """
    from textdiff.data import open_data
    from textdiff.errors import EmptySplitError

    try:
        return open_data(config, split)
    except EmptySplitError:
        if split == "train":
            raise
        return None


def run_training(trainer: Trainer, settings: Settings, prepare: Callable[[], None]) -> None:
    """Trains to the end of the budget.

    Args:
        settings: written to the run folder, which stays as it was if the run is finished.
        prepare: writes what else the folder needs, on the main process, before the first step.
    """
    from textdiff.files import write_text

    accelerator, folder, data = trainer.accelerator, trainer.run, trainer.data
    if trainer.finished:
        accelerator.print(f"{folder.path} is finished at step {trainer.progress.step}")
        return
    if accelerator.is_main_process:
        prepare()
        if data.attribution:
            write_text(folder.path / "ATTRIBUTION.txt", data.attribution)
    folder.start(settings, trainer.progress.step, trainer.config.tensorboard)
    parameters = sum(p.numel() for p in trainer.task.model.parameters())
    accelerator.print(
        f"{len(data)} images, {trainer.task.name} of {parameters / 1e6:.1f}M parameters, "
        f"{accelerator.num_processes} process(es) on {accelerator.device}, "
        f"precision {accelerator.mixed_precision}, run folder {folder.path}"
    )
    try:
        trainer.train()
    finally:
        folder.close()
    report_rejected(accelerator, data)


def report_rejected(accelerator: Accelerator, data: CaptionedImages) -> None:
    """Says how many images of `data` could not be used so far, if any."""
    if data.bad:
        reasons = ", ".join(f"{reason} ({n})" for reason, n in data.rejected.most_common())
        accelerator.print(
            f"{len(data.bad)} of {len(data)} images could not be used and others took their place: "
            f"{reasons}; 'textdiff data info {data.name}' names them"
        )
