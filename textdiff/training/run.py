"""One way to train: a command declares what, and this does it.

settings ── specs/ ──► TrainingSpec ── run_training ──► run folder
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textdiff.config import Settings
from textdiff.data.training_data import TrainingData
from textdiff.files import write_text
from textdiff.training import data_files
from textdiff.training.closing import how_to_continue, lies_where
from textdiff.training.config import TrainConfig
from textdiff.training.continuable import stopped_by_signals
from textdiff.training.cpu_threads import use_training_threads
from textdiff.training.launch import accelerator_for
from textdiff.training.loop import Trainer
from textdiff.training.processes import on_main
from textdiff.training.progress import Progress
from textdiff.training.rank_watch import RankWatch
from textdiff.training.readers import outliving_readers
from textdiff.training.room import check_room, room_for
from textdiff.training.run_folder import RunFolder
from textdiff.training.run_lock import run_lock
from textdiff.training.task import Task

if TYPE_CHECKING:
    from accelerate import Accelerator


def nothing(_folder: Path) -> None:
    """For a run folder that needs nothing of its own."""


@dataclass(frozen=True, kw_only=True)
class TrainingSpec:
    """What is trained, on what, and for how long.

    build_task: makes the task, for the processes and the device that it gets.
    settings: written to the run folder as config.yaml.
    fixed: settings as JSON that a resumed run must not change, besides the seed, the data and the
        precision, which it never may.
    ema_decay: of the weights' moving average; None keeps none.
    check: raises CheckpointError if the run in a folder cannot be continued, for a reason that
        `fixed` does not cover.
    prepare: writes into the run folder what it needs besides, before the first step.
    next_steps: for when it is done: what a command does -> arguments of textdiff.
    captions: whether what is learned depends on them.
    """

    build_task: Callable[[Accelerator], Task]
    data: TrainingData
    config: TrainConfig
    settings: Settings
    seed: int
    fixed: dict[str, Any]
    ema_decay: float | None = None
    check: Callable[[Path], None] = nothing
    prepare: Callable[[Path], None] = nothing
    next_steps: dict[str, list[str]] = field(default_factory=dict)
    captions: bool = True

    def trainer(
        self, accelerator: Accelerator, run: RunFolder, fixed: dict[str, Any] | None = None
    ) -> Trainer:
        """At step 0, in the run folder. fixed: in place of this one's."""
        return Trainer(
            task=self.build_task(accelerator),
            data=self.data,
            config=self.config,
            accelerator=accelerator,
            run=run,
            seed=self.seed,
            ema_decay=self.ema_decay,
            fixed=self.fixed if fixed is None else fixed,
        )


def run_training(spec: TrainingSpec, *, run_dir: str | Path, resume: str) -> None:
    """Trains to the end of the budget. A run that is finished stays as it is.

    Args:
        resume: auto, must or never, see `Trainer.resume`.

    Raises:
        UsageError, CheckpointError: before anything is written; another run has the folder.
        NonFiniteLossError, StoppedBySignalError: see `Trainer.train`.
        LostProcessError: another process ended, or does not answer.
    """
    minutes = spec.config.rank_timeout
    checkpoints = Path(run_dir) / "checkpoints"
    accelerator = accelerator_for(spec.config.precision, minutes, checkpoints)
    folder = RunFolder(run_dir, accelerator.is_main_process)
    with (
        RankWatch(accelerator, minutes),
        stopped_by_signals(),  # here, so that the other processes end with its code, too
        run_lock(folder.path, accelerator),
        outliving_readers(),
    ):
        _train(spec, accelerator, folder, resume)


def _train(spec: TrainingSpec, accelerator: Accelerator, folder: RunFolder, resume: str) -> None:
    """`run_training` in a folder that is ours."""
    data = spec.data
    threads = use_training_threads(accelerator, spec.config, folder.checkpoints)
    precision = accelerator.mixed_precision
    fixed = {"seed": spec.seed, **spec.fixed, "data": data.fingerprint, "precision": precision}
    trainer = spec.trainer(accelerator, folder, fixed)
    spec.check(folder.path)
    trainer.resume(resume)
    goes_on = not trainer.finished
    files_note = on_main(accelerator, lambda: _check_files(trainer, folder)) if goes_on else None
    trainer.catch_up()
    if not goes_on:
        how = how_to_continue(spec.config, trainer.progress)
        accelerator.print(f"{folder.path} is finished at step {trainer.progress.step}: {how}")
        accelerator.print(lies_where(folder.path, trainer.progress.step, spec.next_steps))
        return
    room = room_for(trainer.state(), spec.config.keep_checkpoints, trainer.task)
    on_main(accelerator, lambda: check_room(folder.path, room))
    on_main(accelerator, lambda: _prepare(spec, folder, trainer.progress))
    parameters = sum(p.numel() for p in trainer.task.model.parameters())
    accelerator.print(
        f"{data.title}, {trainer.task.name} of {parameters / 1e6:.1f}M parameters, "
        f"{accelerator.num_processes} process(es) on {accelerator.device}, "
        f"precision {precision}, run folder {folder.path}"
    )
    if threads:
        accelerator.print(threads)
    prepared = trainer.prepare_data()
    on_main(accelerator, lambda: check_room(folder.path, room))  # caches may lie on the same disk
    for note in [*data.notes, *filter(None, (files_note, prepared))]:
        accelerator.print(note)
    try:
        trainer.train()
    finally:
        folder.close()
    report_rejected(accelerator, data)
    accelerator.print(
        f"finished at step {trainer.progress.step} after "
        f"{trainer.progress.elapsed() / 60:.1f} minutes"
    )
    accelerator.print(lies_where(folder.path, trainer.progress.step, spec.next_steps))
    folder.check()


def _prepare(spec: TrainingSpec, folder: RunFolder, progress: Progress) -> None:
    """Writes what the run folder holds besides checkpoints."""
    if progress.step == 0:
        data_files.record(folder.path, spec.data.files)
    spec.prepare(folder.path)
    if spec.data.attribution:
        write_text(folder.path / "ATTRIBUTION.txt", spec.data.attribution)
    evaluated, board = not progress.unevaluated, spec.config.tensorboard
    folder.start(spec.settings, progress.step, board, evaluated)


def _check_files(trainer: Trainer, folder: RunFolder) -> str | None:
    """As `data_files.check`, of a run that goes on."""
    if trainer.progress.step == 0:
        return None
    return data_files.check(folder.path, trainer.data.files)


def report_rejected(accelerator: Accelerator, data: TrainingData) -> None:
    """Says how many images of `data` could not be used so far, if any."""
    if data.bad:
        reasons = ", ".join(f"{reason} ({n})" for reason, n in data.rejected.most_common())
        accelerator.print(
            f"{len(data.bad)} of {len(data)} images could not be used and others took their place: "
            f"{reasons}; 'textdiff data info {data.name}' names them"
        )
