"""What `textdiff train-clip` trains: a CLIP on captioned images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textdiff.data.open import open_data
from textdiff.metrics.preparation import as_clip_sees
from textdiff.training.fresh_clip import fresh_clip, report_captions
from textdiff.training.held_out import open_held_out
from textdiff.training.run import TrainingSpec
from textdiff.training.settings.clip import TrainClipSettings
from textdiff.training.tasks.contrastive import ContrastiveTask

if TYPE_CHECKING:
    from accelerate import Accelerator


def clip_spec(settings: TrainClipSettings) -> TrainingSpec:
    """Loads data, builds or loads the towers.

    Raises:
        UsageError, DataError, CheckpointError: what `settings` name cannot be used.
    """
    loss = settings.loss.kind
    clip = fresh_clip(settings.clip, init=settings.init, loss=loss, seed=settings.seed)
    train = settings.train.for_tower(clip.tower_kind)
    config = as_clip_sees(settings.data, clip)
    settings = settings.model_copy(update={"train": train, "data": config})
    data, held_out = open_data(config, settings.split), open_held_out(config)

    def build_task(accelerator: Accelerator) -> ContrastiveTask:
        report_captions(
            accelerator,
            clip,
            data.all_captions,
            num_images=len(data),
            batch_size=train.batch_size,
        )
        return ContrastiveTask(
            clip=clip,
            seed=settings.seed,
            held_out=held_out,
            eval_images=settings.eval_images,
            max_shift=settings.max_shift,
            loss=settings.loss,
            encoder_batch_size=train.encoder_batch_size,
        )

    return TrainingSpec(
        build_task=build_task,
        data=data,
        config=train,
        settings=settings,
        seed=settings.seed,
        fixed={"max_shift": settings.max_shift, "loss": loss},
    )
