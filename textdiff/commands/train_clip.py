"""Train a CLIP on captioned images. Launch it with accelerate.

From its first checkpoint on, the run folder is an open_clip folder too, for
`open_clip.create_model_and_transforms("local-dir:...")`.
"""

from __future__ import annotations

from textdiff.training.continuable import continuable
from textdiff.training.settings.clip import TrainClipSettings


@continuable
def run(settings: TrainClipSettings) -> None:
    """Load data, build or load the towers, train, save the open_clip folder; or check that training
    works.

    Raises:
        UsageError, DataError, CheckpointError: before anything is written.
        NotLearningError: of the check.
    """
    from textdiff.files import check_folder
    from textdiff.training.carry_out import carry_out
    from textdiff.training.launch import start_all_processes
    from textdiff.training.specs.clip import clip_spec

    check_folder("--run-dir", settings.run_dir)
    start_all_processes()
    carry_out(clip_spec(settings), settings)
