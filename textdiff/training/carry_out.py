"""What a command of training was asked for: a training, a check that it works, or a dry run."""

from __future__ import annotations

from textdiff.training.dry_run import dry_run
from textdiff.training.learning.overfit import check_overfit
from textdiff.training.run import TrainingSpec, run_training
from textdiff.training.settings.checked import CheckedRunSettings


def carry_out(spec: TrainingSpec, settings: CheckedRunSettings) -> None:
    """One of the three.

    Raises:
        UsageError, CheckpointError: before anything is written.
        NotLearningError: of the check. NonFiniteLossError, StoppedBySignalError: of a training.
    """
    if settings.check:
        check_overfit(spec, settings.run_dir)
    elif settings.dry_run:
        dry_run(spec, settings.run_dir)
    else:
        run_training(spec, run_dir=settings.run_dir, resume=settings.resume)
