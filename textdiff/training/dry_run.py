"""A training in small, before the long one: does all of it work here, and what will it take?

evaluation (a sample) ──► a few steps ──► checkpoint ──► read back ──► memory, disk, time

Everything is that of the real run but its length and place: the folder lies beside that of the run,
on the same disk, and is gone afterwards.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import torch

from textdiff.errors import CheckpointError, UsageError
from textdiff.locks import HeldError, locked
from textdiff.training.config import TrainConfig
from textdiff.training.cpu_threads import use_training_threads
from textdiff.training.launch import accelerator_for
from textdiff.training.loop import Trainer
from textdiff.training.memory import peak_memory
from textdiff.training.meter import shown_time
from textdiff.training.processes import main_value, on_main
from textdiff.training.rank_watch import RankWatch
from textdiff.training.room import shown_bytes
from textdiff.training.run import TrainingSpec
from textdiff.training.run_folder import RunFolder
from textdiff.training.run_lock import LOCK
from textdiff.training.saved_state import read_checkpoint

if TYPE_CHECKING:
    from accelerate import Accelerator

STEPS = 3  # the first is not timed: memory is taken, networks are compiled
PREFIX = ".dry-run-"
NEW = 60.0  # seconds in which a folder gets its lock
WARNED_SHARE = 0.9  # of the free disk


@dataclass(frozen=True, kw_only=True)
class DryRun:
    """Seconds of each part, bytes of what is written.

    step: of the optimizer, its batch included. folder: what the run folder holds besides
    checkpoints. memory: the most that the process held, on the GPU where it trains on one.
    """

    step: float
    evaluation: float
    checkpoint: float
    checkpoint_bytes: int
    folder_bytes: int
    memory: int

    def seconds(self, config: TrainConfig) -> float:
        """Of the whole run."""
        evaluations = 2 + (config.steps - 1) // config.eval_every  # at step 0 and the last, too
        checkpoints = 1 + (config.steps - 1) // config.checkpoint_every
        total = config.steps * self.step + evaluations * self.evaluation
        total += checkpoints * self.checkpoint
        return min(total, 60 * config.max_minutes) if config.max_minutes else total

    def disk(self, config: TrainConfig) -> int:
        """Bytes at most: one more checkpoint than are kept lies there while it is verified."""
        return (config.keep_checkpoints + 1) * self.checkpoint_bytes + self.folder_bytes


def dry_run(spec: TrainingSpec, run_dir: str | Path) -> None:
    """Prints what was found, on the main process.

    Raises:
        UsageError: the disk has no room for the run. Whatever else keeps the real run from working.
    """
    minutes = spec.config.rank_timeout
    checkpoints = Path(run_dir) / "checkpoints"
    accelerator = accelerator_for(spec.config.precision, minutes, checkpoints)
    with RankWatch(accelerator, minutes), _folder_beside(Path(run_dir), accelerator) as folder:
        spec.check(Path(run_dir))
        found = _try(spec, accelerator, folder)
        free = shutil.disk_usage(folder).free
    config = spec.config
    needed = found.disk(config)
    where = "on the GPU" if accelerator.device.type == "cuda" else "in memory"
    accelerator.print(
        f"dry run passed: {STEPS} steps, an evaluation, a checkpoint written and read back\n"
        f"  memory  {shown_bytes(found.memory)} {where} at most\n"
        f"  disk    {shown_bytes(needed)} ({config.keep_checkpoints} + 1 checkpoints of "
        f"{shown_bytes(found.checkpoint_bytes)}), {shown_bytes(free)} free\n"
        f"  time    {shown_time(found.seconds(config))} for {config.steps:,} steps of "
        f"{1000 * found.step:.0f} ms, evaluations of {shown_time(found.evaluation)} and "
        f"checkpoints of {shown_time(found.checkpoint)}\n"
        "nothing was kept but caches"
    )
    if needed > WARNED_SHARE * free:
        raise UsageError(
            f"--run-dir {run_dir}: the run needs {shown_bytes(needed)}, {shown_bytes(free)} are "
            "free; make room, name another place, or lower --train.keep-checkpoints"
        )


@contextmanager
def _folder_beside(run_dir: Path, accelerator: Accelerator) -> Iterator[Path]:
    """A folder on the disk of `run_dir` that only the main process makes and removes."""
    there = next(place for place in (run_dir, *run_dir.absolute().parents) if place.is_dir())
    if not accelerator.is_main_process:
        yield there
        return
    _remove_abandoned(there)
    with (
        tempfile.TemporaryDirectory(prefix=PREFIX, dir=there) as folder,
        locked(Path(folder) / LOCK),
    ):
        yield Path(folder)


def _remove_abandoned(there: Path) -> None:
    """Folders of dry runs that were killed; not one that was made just now, before its lock."""
    for folder in there.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if not (folder / LOCK).exists() and time.time() - folder.stat().st_mtime < NEW:
                continue
        with suppress(HeldError, OSError), locked(folder / LOCK):
            shutil.rmtree(folder, ignore_errors=True)


def _try(spec: TrainingSpec, accelerator: Accelerator, folder: Path) -> DryRun:
    run = RunFolder(folder, accelerator.is_main_process)
    use_training_threads(accelerator, spec.config, run.checkpoints)
    trainer = spec.trainer(accelerator, run)
    if trainer.adversary:
        trainer.adversary.start_at(0)
    on_main(accelerator, lambda: spec.prepare(folder))
    run.start(spec.settings, 0, tensorboard=False)
    trainer.prepare_data()  # what it caches stays, as the run will need it
    batches, steps = trainer.batches(), []
    for _ in range(STEPS):
        start = time.monotonic()
        trainer.train_step(next(batches))
        steps.append(time.monotonic() - start)
        trainer.progress.step += 1
    batches.close()
    start = time.monotonic()
    trainer.evaluate(examine=False)
    evaluation = time.monotonic() - start
    start = time.monotonic()
    saved = trainer.save()
    seconds = time.monotonic() - start
    size = 0
    if accelerator.is_main_process:
        _read_back(trainer, saved)
        size = _bytes(saved)
    return DryRun(
        step=main_value(accelerator, median(steps[1:])),
        evaluation=evaluation,
        checkpoint=seconds,
        checkpoint_bytes=size,
        folder_bytes=_bytes(folder) - size if accelerator.is_main_process else 0,
        memory=peak_memory(accelerator.device),
    )


def _read_back(trainer: Trainer, saved: Path) -> None:
    """Raises CheckpointError if what was written is not what the run would go on from."""
    before = {name: x.clone() for name, x in trainer.task.model.state_dict().items()}
    progress = read_checkpoint(saved, trainer.state())
    after = trainer.task.model.state_dict()
    changed = [name for name, tensor in before.items() if not torch.equal(tensor, after[name])]
    if progress.step != trainer.progress.step or changed:
        what = f"'{changed[0]}'" if changed else f"step {progress.step}"
        raise CheckpointError(
            f"{saved.name} read back with another {what} than was written: memory or disk fails, "
            "or it is a bug of textdiff; textdiff doctor says what this machine is"
        )


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
