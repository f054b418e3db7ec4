"""Train unCLIP's prior, from captions to CLIP image embeddings. Launch it with accelerate."""

from __future__ import annotations

from textdiff.training.settings.prior import TrainPriorSettings


def run(settings: TrainPriorSettings) -> None:
    """Load embeddings and CLIP, build the network, train, or check that training works.

    Raises:
        UsageError, DataError, CheckpointError: before anything is written.
        NotLearningError: of the check.
    """
    from textdiff.files import check_folder
    from textdiff.training.dry_run import dry_run
    from textdiff.training.launch import start_all_processes
    from textdiff.training.learning.overfit import check_overfit
    from textdiff.training.run import run_training
    from textdiff.training.specs.prior import prior_spec

    check_folder("--run-dir", settings.run_dir)
    start_all_processes()
    spec = prior_spec(settings)
    if settings.check:
        check_overfit(spec, settings.run_dir)
    elif settings.dry_run:
        dry_run(spec, settings.run_dir)
    else:
        run_training(spec, run_dir=settings.run_dir, resume=settings.resume)
