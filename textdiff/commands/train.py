"""Train a U-Net on captioned images, conditioned on a frozen CLIP. Launch it with accelerate."""

from __future__ import annotations

from textdiff.training.continuable import continuable
from textdiff.training.settings.text_to_image import TrainSettings


@continuable
def run(settings: TrainSettings) -> None:
    """Load data and CLIP, build the U-Net, train, or check that training works.

    Raises:
        UsageError, DataError, CheckpointError: before anything is written.
        NotLearningError: of the check.
    """
    from textdiff.files import check_folder
    from textdiff.training.carry_out import carry_out
    from textdiff.training.launch import start_all_processes
    from textdiff.training.specs.text_to_image import text_to_image_spec

    check_folder("--run-dir", settings.run_dir)
    start_all_processes()
    carry_out(text_to_image_spec(settings), settings)
