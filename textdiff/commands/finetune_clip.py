"""Fine-tune a CLIP on noised pictures, for guidance at x_t. Launch it with accelerate.

From its first checkpoint on, the run folder loads as a `NoisedClip`; `clean/` in it is what the
tower computes at t = 0, as an open_clip folder.
"""

from __future__ import annotations

from textdiff.training.continuable import continuable
from textdiff.training.settings.noised_clip import FinetuneClipSettings


@continuable
def run(settings: FinetuneClipSettings) -> None:
    """Load the CLIP, the schedule and the data, train.

    Raises:
        UsageError, DataError, CheckpointError: before anything is written.
    """
    from textdiff.files import check_folder
    from textdiff.training.dry_run import dry_run
    from textdiff.training.fresh_noised_clip import check_apart
    from textdiff.training.launch import start_all_processes
    from textdiff.training.run import run_training
    from textdiff.training.specs.noised_clip import for_model, noised_clip_spec

    schedule_from = settings.noise.schedule_from
    check_folder("--run-dir", settings.run_dir)
    check_apart(settings.run_dir, "init", settings.init)
    check_apart(settings.run_dir, "noise.schedule-from", schedule_from)
    settings, model, vae = for_model(settings)
    start_all_processes()
    spec = noised_clip_spec(settings, model, vae)
    if settings.dry_run:
        dry_run(spec, settings.run_dir)
    else:
        run_training(spec, run_dir=settings.run_dir, resume=settings.resume)
