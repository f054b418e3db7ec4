"""From the settings of a planned training to what it trains."""

from __future__ import annotations

from typing import cast

from textdiff.config import Settings
from textdiff.training.plan.settings import TaskName
from textdiff.training.run import TrainingSpec
from textdiff.training.settings.clip import TrainClipSettings
from textdiff.training.settings.noised_clip import FinetuneClipSettings
from textdiff.training.settings.prior import TrainPriorSettings
from textdiff.training.settings.text_to_image import TrainSettings
from textdiff.training.settings.vae import TrainVaeSettings


def spec_of(task: TaskName, settings: Settings) -> TrainingSpec:
    """As the command `task` builds it.

    Raises:
        UsageError, DataError, CheckpointError: what `settings` name cannot be used.
    """
    if task == "train":
        from textdiff.training.specs.text_to_image import text_to_image_spec

        return text_to_image_spec(cast(TrainSettings, settings))
    if task == "train-clip":
        from textdiff.training.specs.clip import clip_spec

        return clip_spec(cast(TrainClipSettings, settings))
    if task == "finetune-clip":
        from textdiff.training.specs.noised_clip import for_model, noised_clip_spec

        return noised_clip_spec(*for_model(cast(FinetuneClipSettings, settings)))
    if task == "train-vae":
        from textdiff.training.specs.vae import vae_spec

        return vae_spec(cast(TrainVaeSettings, settings))
    from textdiff.training.specs.prior import prior_spec

    return prior_spec(cast(TrainPriorSettings, settings))
