"""What `textdiff train-clip` trains: a CLIP on captioned images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textdiff.clip.model import ClipModel
from textdiff.data.config import DataConfig
from textdiff.data.open import open_data
from textdiff.metrics.preparation import as_clip_sees
from textdiff.training.fresh_clip import fresh_clip, report_captions
from textdiff.training.held_out import open_held_out
from textdiff.training.pairs import check_batch, check_pairs
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
        check_batch(train.batch_size, processes=accelerator.num_processes)
        check_pairs(data)
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
        fixed={"max_shift": settings.max_shift, "loss": loss, **_fixed_towers(settings, clip)},
        next_steps=_next_steps(settings),
    )


def _fixed_towers(settings: TrainClipSettings, clip: ClipModel) -> dict[str, Any]:
    """The towers, or the weights that they were started from."""
    if settings.init:
        return {"init": clip.weights_hash()}
    return {"init": None, "clip": settings.clip.model_dump(mode="json")}


def _next_steps(settings: TrainClipSettings) -> dict[str, list[str]]:
    run, data = settings.run_dir, settings.data
    train = ["train", "--clip", run, *_data_flags(data), "--run-dir", f"{run}-model"]
    return {
        "a U-Net on its text embeddings": train,
        "how well it retrieves": ["retrieval", "--clip", run],
    }


def _data_flags(data: DataConfig) -> list[str]:
    """Source, size, and what else is not as by default."""
    flags = ["--data", data.source, "--data.image-size", str(data.image_size)]
    defaults = DataConfig()
    for name in sorted(DataConfig.model_fields.keys() - {"source", "image_size"}):
        value = getattr(data, name)
        if value != getattr(defaults, name):
            values = value if isinstance(value, list) else [value]
            flags += [f"--data.{name.replace('_', '-')}", *(str(each) for each in values)]
    return flags
