"""Train a U-Net on captioned images, conditioned on a frozen CLIP. Launch it with accelerate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from textdiff.binary.config import BinaryConfig
from textdiff.config import Settings
from textdiff.data.config import DataConfig
from textdiff.diffusion.config import (
    ObjectiveConfig,
    PredictionType,
    ProcessType,
    ScheduleConfig,
    check_prediction,
)
from textdiff.errors import CheckpointError
from textdiff.models.config import UNetConfig
from textdiff.pipeline.config import SamplingConfig
from textdiff.training.config import TrainConfig

if TYPE_CHECKING:
    from textdiff.clip import ClipModel
    from textdiff.pipeline import TextToImage


# what must not change while a run lasts
FIXED = ("seed", "process", "prediction", "use_pooled", "caption_drop", "ema_decay")
FIXED_SECTIONS = ("unet", "schedule", "objective", "binary")


class PreviewConfig(SamplingConfig):
    """How the sample grid during training is drawn."""

    num_steps: int = Field(25, ge=1, description="denoising steps")
    num_prompts: int = Field(16, ge=0, description="captions of the training split in the grid")


class TrainSettings(Settings):
    """Text-to-image training."""

    run_dir: str = Field(description="where the run is kept")
    resume: Literal["auto", "must", "never"] = Field(
        "auto", description="continue the newest good checkpoint: if there is one, always, or never"
    )
    clip: str = Field(description="folder of a CLIP, or MODEL/TAG of open_clip's list")
    seed: int = Field(0, description="of weights, order, noise and everything else")
    use_pooled: bool = Field(True, description="add the pooled text feature to the timestep's")
    caption_drop: float = Field(
        0.1, ge=0, le=1, description="share of captions replaced by the empty one, for guidance"
    )
    ema_decay: float | None = Field(
        0.9999,
        gt=0,
        lt=1,
        description="moving average that samples are drawn from; none: no average",
    )
    process: ProcessType = Field(
        "gaussian", description="noise on pictures, or flips of black and white pixels"
    )
    prediction: PredictionType = Field(
        "eps",
        description="gaussian: the U-Net outputs noise (DDPM), picture, velocity or posterior mean",
    )
    objective: ObjectiveConfig = ObjectiveConfig()
    eval_images: int = Field(128, ge=1, description="held-out images per quarter of the timesteps")
    data: DataConfig = DataConfig()
    unet: UNetConfig = UNetConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    binary: BinaryConfig = BinaryConfig()
    train: TrainConfig = TrainConfig()
    preview: PreviewConfig = PreviewConfig()

    @model_validator(mode="after")
    def _check_process(self) -> TrainSettings:
        check_prediction(self.prediction, self.schedule)
        if self.objective.loss == "min_snr" and self.schedule.zero_terminal_snr:
            raise ValueError(
                "objective.loss min_snr with schedule.zero_terminal_snr: the weight of the last "
                "step, where sampling starts, would be 0; use another loss"
            )
        others = {"prediction", "objective", "schedule"}
        if self.process == "gaussian":
            others = {"binary"}
        for name in sorted(others & self.model_fields_set):
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(
                    f"process {self.process} has no setting '{name}'; leave it out, or name "
                    f"the other process"
                )
        return self

    @model_validator(mode="before")
    @classmethod
    def _same_image_size(cls, values: dict[str, Any]) -> dict[str, Any]:
        """The U-Net is checked against the data's image size, not against its own default."""
        data, unet = values.get("data", {}), values.get("unet", {})
        if not isinstance(data, dict) or not isinstance(unet, dict):
            return values  # not sections: refused by their own types
        size = data.get("image_size", DataConfig().image_size)
        return {**values, "unet": {"image_size": size, **unet}}


def run(settings: TrainSettings) -> None:
    """Load data and CLIP, build the U-Net, train.

    Raises:
        UsageError, DataError, CheckpointError: before anything is written.
    """
    from textdiff.clip import ClipModel
    from textdiff.files import check_folder
    from textdiff.training.captions import CaptionEmbeddings
    from textdiff.training.fresh_model import build_pipeline, build_task, fit_unet, preview_prompts
    from textdiff.training.launch import (
        accelerator_for,
        open_split,
        run_training,
        start_all_processes,
    )
    from textdiff.training.loop import Trainer
    from textdiff.training.run_folder import RunFolder

    check_folder("--run-dir", settings.run_dir)
    start_all_processes()
    data, held_out = open_split(settings.data, "train"), open_split(settings.data, "val")
    clip = ClipModel.load(settings.clip).freeze()
    settings = settings.model_copy(update={"unet": fit_unet(settings, clip)})
    accelerator = accelerator_for(settings.train.precision)
    folder = RunFolder(settings.run_dir, accelerator.is_main_process)
    pipe = build_pipeline(settings, clip).to(accelerator.device)
    previewed = preview_prompts(settings.preview, data, pipe)
    captions = [text for part in (data, held_out) if part for text in part.training_captions]
    embed = CaptionEmbeddings(clip, captions)
    task = build_task(settings, pipe, embed, held_out, previewed)
    trainer = Trainer(
        task,
        data,
        settings.train,
        accelerator,
        folder,
        settings.seed,
        settings.ema_decay,
        {
            **{key: getattr(settings, key) for key in FIXED},
            **{
                f"{section}.{key}": value
                for section in FIXED_SECTIONS
                for key, value in getattr(settings, section).model_dump(mode="json").items()
            },
            "data": data.fingerprint,
            "precision": accelerator.mixed_precision,
        },
    )
    check_same_clip(folder.path, clip)
    trainer.resume(settings.resume)
    run_training(trainer, settings, lambda: prepare_folder(folder.path, pipe))


def check_same_clip(folder: Path, clip: ClipModel) -> None:
    """Raises CheckpointError if the run in `folder` has checkpoints made with another CLIP."""
    from textdiff.checkpoint import checkpoints
    from textdiff.clip import ClipModel
    from textdiff.pipeline import CLIP_FOLDER

    kept = folder / CLIP_FOLDER
    if not kept.is_dir() or not any(checkpoints(folder / "checkpoints")):
        return
    if ClipModel.load(kept).weights_hash() != clip.weights_hash():
        raise CheckpointError(
            f"{folder} was trained with another CLIP than --clip names; "
            f"use --clip {kept} or another --run-dir"
        )


def prepare_folder(folder: Path, pipe: TextToImage) -> None:
    """Writes what makes the run folder loadable as a model."""
    from textdiff.config import to_yaml
    from textdiff.files import write_text
    from textdiff.pipeline import CLIP_FOLDER, MODEL_FILE

    pipe.clip.save(folder / CLIP_FOLDER)
    write_text(folder / MODEL_FILE, to_yaml(pipe.config))
