"""Train a CLIP on captioned images. Launch it with accelerate.

From its first checkpoint on, the run folder is an open_clip folder too, for
`open_clip.create_model_and_transforms("local-dir:...")`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from textdiff.clip.config import ClipConfig
from textdiff.config import Settings
from textdiff.data.config import DataConfig
from textdiff.errors import UsageError
from textdiff.training.augment_config import AugmentConfig
from textdiff.training.config import ClipTrainConfig, ContrastiveLossConfig

if TYPE_CHECKING:
    from accelerate import Accelerator

    from textdiff.clip import ClipModel
    from textdiff.data import CaptionedImages


class TrainClipSettings(Settings):
    """CLIP pre-training."""

    run_dir: str = Field(description="where the run is kept")
    resume: Literal["auto", "must", "never"] = Field(
        "auto", description="continue the newest good checkpoint: if there is one, always, or never"
    )
    init: str | None = Field(
        None, description="start from this CLIP (folder or MODEL/TAG) instead of fresh weights"
    )
    seed: int = Field(0, description="of weights, order and everything else")
    split: Literal["train", "all"] = Field(
        "train", description="what is trained on; all: a judge that needs no held-out data"
    )
    max_shift: int = Field(0, ge=0, description="shift pictures by up to this many pixels")
    eval_images: int = Field(1000, ge=1, description="held-out images that retrieval searches")
    data: DataConfig = DataConfig()
    clip: ClipConfig = ClipConfig()
    augment: AugmentConfig = AugmentConfig()
    loss: ContrastiveLossConfig = ContrastiveLossConfig()
    train: ClipTrainConfig = ClipTrainConfig()


def run(settings: TrainClipSettings) -> None:
    """Load data, build or load the towers, train, save the open_clip folder.

    Raises:
        UsageError, DataError, CheckpointError: before anything is written.
    """
    from textdiff.files import check_folder
    from textdiff.training.launch import (
        accelerator_for,
        open_split,
        run_training,
        start_all_processes,
    )
    from textdiff.training.loop import Trainer
    from textdiff.training.run_folder import RunFolder
    from textdiff.training.tasks.contrastive import ContrastiveTask

    check_folder("--run-dir", settings.run_dir)
    start_all_processes()
    data, held_out = open_split(settings.data, settings.split), open_split(settings.data, "val")
    clip = starting_clip(settings)
    settings = settings.model_copy(update={"train": settings.train.for_tower(clip.tower_kind)})
    accelerator = accelerator_for(settings.train.precision)
    report_captions(accelerator, clip, data, settings.train.batch_size)
    folder = RunFolder(settings.run_dir, accelerator.is_main_process)
    trainer = Trainer(
        ContrastiveTask(
            clip,
            settings.seed,
            held_out,
            settings.eval_images,
            settings.max_shift,
            settings.loss,
            settings.train.encoder_batch_size,
            settings.augment,
        ),
        data,
        settings.train,
        accelerator,
        folder,
        settings.seed,
        ema_decay=None,
        fixed={
            "seed": settings.seed,
            "max_shift": settings.max_shift,
            "data": data.fingerprint,
            "precision": accelerator.mixed_precision,
            # none where it is as in runs from before there was a choice
            "loss": None if settings.loss.kind == "softmax" else settings.loss.kind,
            "augment": settings.augment.model_dump(exclude_defaults=True) or None,
        },
    )
    trainer.resume(settings.resume)
    run_training(trainer, settings, lambda: None)


class SigmoidClipConfig(ClipConfig):
    """Starts with the scale and the bias of SigLIP (arXiv 2303.15343, section 3.2): the many pairs
    that do not match weigh little at first."""

    def to_open_clip(self) -> dict:
        return super().to_open_clip() | {
            "init_logit_scale": math.log(10.0),
            "init_logit_bias": -10.0,
        }


def starting_clip(settings: TrainClipSettings) -> ClipModel:
    """The CLIP that training starts from, in training mode.

    Raises:
        UsageError: `init` has no logit bias, and the sigmoid loss is asked for.
    """
    from textdiff.clip import ClipModel

    sigmoid = settings.loss.kind == "sigmoid"
    if not settings.init:
        fresh = SigmoidClipConfig(**settings.clip.model_dump()) if sigmoid else settings.clip
        return ClipModel.build(fresh, settings.seed)
    clip = ClipModel.load(settings.init).train()
    if sigmoid and clip.model.logit_bias is None:
        raise UsageError(
            f"--init {settings.init} has no logit bias, which --loss.kind sigmoid needs; "
            "take softmax, or start from fresh weights"
        )
    return clip


def report_captions(
    accelerator: Accelerator, clip: ClipModel, data: CaptionedImages, batch_size: int
) -> None:
    """Says how many captions are cut, and if a batch is larger than the data."""
    captions = data.training_captions
    cut = clip.tokenize(captions).num_truncated
    if cut:
        accelerator.print(
            f"{cut} of {len(captions)} captions are longer than {clip.context_length} tokens "
            "and are cut; raise --clip.text.context-length to keep them whole"
        )
    rows = batch_size * accelerator.num_processes
    if rows > len(data):
        accelerator.print(
            f"a batch of {rows} holds some of the {len(data)} images twice, each then its own "
            f"negative; better: --train.batch-size {max(1, len(data) // accelerator.num_processes)}"
        )
