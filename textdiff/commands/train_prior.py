"""Train unCLIP's prior, from captions to CLIP image embeddings. Launch it with accelerate."""

from __future__ import annotations

from textdiff.training.continuable import continuable
from textdiff.training.settings.prior import TrainPriorSettings


@continuable
def run(settings: TrainPriorSettings) -> None:
    """Load embeddings and CLIP, build the network, train, or check that training works.

    Raises:
        UsageError, DataError, CheckpointError: before anything is written.
        NotLearningError: of the check.
    """
    from textdiff.files import check_folder
    from textdiff.training.carry_out import carry_out
    from textdiff.training.launch import start_all_processes
    from textdiff.training.specs.prior import prior_spec

    check_folder("--run-dir", settings.run_dir)
    start_all_processes()
    carry_out(prior_spec(settings), settings)
