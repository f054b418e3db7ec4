"""Train a CLIP on captioned images. Launch it with accelerate.

The run folder is an open_clip folder too: `open_clip.create_model_and_transforms("local-dir:...")`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from textdiff.clip.config import ClipConfig
from textdiff.config import Settings
from textdiff.data.config import DataConfig
from textdiff.training.config import ClipTrainConfig


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
    train: ClipTrainConfig = ClipTrainConfig()


def run(settings: TrainClipSettings) -> None:
    """Load data, build or load the towers, train, save the open_clip folder.

    Raises:
        UsageError, DataError, CheckpointError: before anything is written.
    """
    from textdiff.clip import ClipModel
    from textdiff.commands.launch import (
        accelerator_for,
        open_split,
        report_rejected,
        start_all_processes,
    )
    from textdiff.files import check_folder
    from textdiff.training.loop import Trainer
    from textdiff.training.run_folder import RunFolder
    from textdiff.training.tasks.contrastive import ContrastiveTask

    check_folder("--run-dir", settings.run_dir)
    start_all_processes()
    data, held_out = open_split(settings.data, settings.split), open_split(settings.data, "val")
    if settings.init:
        clip = ClipModel.load(settings.init).train()
    else:
        clip = ClipModel.build(settings.clip, settings.seed)
    train = settings.train.for_tower(settings.clip.image.kind)
    accelerator = accelerator_for(train.precision)
    folder = RunFolder(settings.run_dir, accelerator.is_main_process)
    task = ContrastiveTask(clip, settings.seed, held_out, settings.eval_images, settings.max_shift)
    trainer = Trainer(
        task,
        data,
        train,
        accelerator,
        folder,
        settings.seed,
        ema_decay=None,
        settings=settings.model_dump(mode="json"),
    )
    trainer.resume(settings.resume)
    folder.start(settings, trainer.progress.step, train.tensorboard)
    accelerator.print(
        f"{len(data)} images, CLIP of {sum(p.numel() for p in clip.parameters()) / 1e6:.1f}M "
        f"parameters, {accelerator.num_processes} process(es) on {accelerator.device}, "
        f"precision {accelerator.mixed_precision}, run folder {folder.path}"
    )
    trainer.train()
    report_rejected(accelerator, data)
    if accelerator.is_main_process:
        clip.save(folder.path)
        print(f"saved {folder.path}, an open_clip folder")
    folder.close()
