"""Train a U-Net on captioned images, conditioned on a frozen CLIP. Launch it with accelerate."""

from __future__ import annotations

from textdiff.training.settings.text_to_image import TrainSettings


def run(settings: TrainSettings) -> None:
    """Load data and CLIP, build the U-Net, train, or check that training works.

    Raises:
        UsageError, DataError, CheckpointError: before anything is written.
        NotLearningError: of the check.
    """
    from textdiff.files import check_folder
    from textdiff.training.dry_run import dry_run
    from textdiff.training.launch import start_all_processes
    from textdiff.training.learning.overfit import check_overfit
    from textdiff.training.run import run_training
    from textdiff.training.specs.text_to_image import text_to_image_spec

    check_folder("--run-dir", settings.run_dir)
    start_all_processes()
    spec = text_to_image_spec(settings)
    if settings.check:
        check_overfit(spec, settings.run_dir)
    elif settings.dry_run:
        dry_run(spec, settings.run_dir)
    else:
        run_training(spec, run_dir=settings.run_dir, resume=settings.resume)
