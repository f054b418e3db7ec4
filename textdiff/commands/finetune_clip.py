"""Fine-tune a CLIP on noised pictures, for guidance at x_t. Launch it with accelerate.

From its first checkpoint on, the run folder loads as a `NoisedClip`; `clean/` in it is what the
tower says at t = 0, as an open_clip folder.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from textdiff.config import Settings
from textdiff.data.config import DataConfig
from textdiff.diffusion.config import DensityConfig
from textdiff.errors import UsageError
from textdiff.training.config import ClipTrainConfig

if TYPE_CHECKING:
    from textdiff.clip import NoisedClip
    from textdiff.pipeline.config import ModelConfig
    from textdiff.training.tasks.noised_clip import NoisedClipTask

# what must not change while a run lasts
FIXED = ("seed", "train_text", "distill", "distill_by_signal", "max_shift")
FIXED_NOISE = ("clean_share", "clean_below")


class NoiseConfig(DensityConfig):
    """Which noise."""

    schedule_from: str = Field(
        description="model folder whose schedule and picture size the noised CLIP is for"
    )
    clean_share: float = Field(
        0.0, ge=0, lt=1, description="share of the pictures that is read at t = 0 besides"
    )
    clean_below: int = Field(
        0,
        ge=0,
        description="leave timesteps below this to a copy of the image tower as it was, so that "
        "nothing is lost at t = 0; 0: none",
    )

    @model_validator(mode="after")
    def _check_clean(self) -> NoiseConfig:
        if self.clean_share and self.clean_below:
            raise ValueError(
                f"clean_share {self.clean_share:g} and clean_below {self.clean_below}: t = 0 is "
                "not trained on where the clean tower reads it; give one of them"
            )
        return self


class FinetuneTrainConfig(ClipTrainConfig):
    """Gentler than from scratch."""

    lr: float = Field(1e-4, gt=0, description="peak learning rate")
    warmup_steps: int = Field(200, ge=0, description="steps of linear warm-up")

    @model_validator(mode="after")
    def _check_encoder_batch(self) -> FinetuneTrainConfig:
        if self.encoder_batch_size is not None:
            raise ValueError(
                f"encoder_batch_size {self.encoder_batch_size} is for train-clip; fine-tuning "
                "encodes a batch at once: leave it out and lower batch_size"
            )
        return self


class FinetuneClipSettings(Settings):
    """Fine-tuning of a CLIP on x_t with its timestep."""

    run_dir: str = Field(description="where the run is kept; not the folder of --init")
    init: str = Field(description="CLIP to start from: a folder, or MODEL/TAG of open_clip's list")
    resume: Literal["auto", "must", "never"] = Field(
        "auto", description="continue the newest good checkpoint: if there is one, always, or never"
    )
    seed: int = Field(0, description="of the timestep layers, order, noise and everything else")
    train_text: bool = Field(False, description="train the text tower too; else it stays as it was")
    distill: float = Field(
        0.0,
        ge=0,
        description="weight of 1 - cosine to what the clean CLIP says of the clean picture",
    )
    distill_by_signal: bool = Field(
        False, description="distill: weigh pictures by their share of signal, 1 at t = 0"
    )
    max_shift: int = Field(0, ge=0, description="shift pictures by up to this many pixels")
    eval_images: int = Field(1000, ge=1, description="held-out images that retrieval searches")
    noise: NoiseConfig
    data: DataConfig = DataConfig()
    train: FinetuneTrainConfig = FinetuneTrainConfig()

    @model_validator(mode="before")
    @classmethod
    def _noise_is_a_section(cls, values: dict[str, Any]) -> dict[str, Any]:
        """So that what is asked for is its key `schedule_from`, and not all of it."""
        return {"noise": {}, **values}

    @model_validator(mode="after")
    def _check_parts(self) -> FinetuneClipSettings:
        if self.distill_by_signal and not self.distill:
            raise ValueError("distill_by_signal without distill; give a weight, e.g. --distill 1")
        if self.noise.clean_below and self.train_text:
            raise ValueError(
                "noise.clean_below with train_text: the clean image tower knows the text tower as "
                "it was; give one of them"
            )
        return self


def run(settings: FinetuneClipSettings) -> None:
    """Load the CLIP, the schedule and the data, train.

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

    check_folder("--run-dir", settings.run_dir)
    for flag, source in (
        ("init", settings.init),
        ("noise.schedule-from", settings.noise.schedule_from),
    ):
        check_apart(settings.run_dir, flag, source)
    model = read_process(settings.noise.schedule_from)
    size, origin = model.unet.image_size, f"--noise.schedule-from {settings.noise.schedule_from}"
    settings = settings.model_copy(update={"data": fit_data(settings.data, size, origin)})
    start_all_processes()
    data, held_out = open_split(settings.data, "train"), open_split(settings.data, "val")
    clip = load_start(settings, model)
    train = settings.train.for_tower(clip.clip.tower_kind)
    settings = settings.model_copy(update={"train": train})
    accelerator = accelerator_for(train.precision)
    check_batch(settings, accelerator.num_processes)
    clip.to(accelerator.device)
    task = build_task(settings, clip, data, held_out)
    trainer = Trainer(
        task,
        data,
        train,
        accelerator,
        RunFolder(settings.run_dir, accelerator.is_main_process),
        settings.seed,
        ema_decay=None,
        fixed={
            **{key: getattr(settings, key) for key in FIXED},
            **{key: getattr(settings.noise, key) for key in FIXED_NOISE},
            "init": clip.config.source_weights,
            "schedule": clip.schedule_config,
            "density": [settings.noise.density, settings.noise.power],
            "data": data.fingerprint,
            "precision": accelerator.mixed_precision,
        },
    )
    trainer.resume(settings.resume)
    run_training(trainer, settings, lambda: None)


def check_apart(run_dir: str, flag: str, source: str) -> None:
    """Raises UsageError if a run in `run_dir` would write into `source`, which it starts from."""
    run, given = Path(run_dir).resolve(), Path(source.removeprefix("local-dir:")).expanduser()
    if run == given.resolve() or run in given.resolve().parents:
        raise UsageError(
            f"--run-dir {run_dir} holds --{flag} {source}, which must stay as it is; "
            "name another --run-dir"
        )


def read_process(folder: str) -> ModelConfig:
    """What the model in `folder` is; its weights are not needed.

    Raises:
        UsageError: its process is not Gaussian.
        CheckpointError: `folder` is no model.
    """
    from textdiff.pipeline.text_to_image import read_config

    model = read_config(Path(folder))
    if model.process != "gaussian":
        raise UsageError(
            f"{folder} is a model of process {model.process}; a noised CLIP reads Gaussian noise: "
            "name a gaussian one"
        )
    return model


def fit_data(data: DataConfig, size: int, origin: str) -> DataConfig:
    """`data` with pictures of `size`, unless another size was asked for.

    Raises:
        UsageError: it was.
    """
    if "image_size" in data.model_fields_set and data.image_size != size:
        raise UsageError(
            f"--data.image-size {data.image_size}, but {origin} has pictures of {size}x{size}; "
            f"give {size} or leave it out"
        )
    return data.model_copy(update={"image_size": size})


def check_batch(settings: FinetuneClipSettings, processes: int) -> None:
    """Raises UsageError where the loss would be 0 whatever the weights are."""
    if settings.train.batch_size * processes == 1 and not settings.distill:
        raise UsageError(
            "--train.batch-size 1 on one process: a pair alone has nothing to be told from and its "
            "contrastive loss is always 0; give 2 or more, or --distill"
        )


def load_start(settings: FinetuneClipSettings, model: ModelConfig) -> NoisedClip:
    """The CLIP of `init` with timestep layers, ready to be trained.

    Raises:
        UsageError: no timestep is left to train on.
    """
    from textdiff.clip import ClipModel, NoisedClip, NoisedClipConfig

    below, T = settings.noise.clean_below, model.schedule.num_timesteps
    if below >= T:
        raise UsageError(
            f"--noise.clean-below {below} leaves none of the model's timesteps 0..{T - 1} to train "
            "on; give a smaller one"
        )
    clean = ClipModel.load(settings.init)
    config = NoisedClipConfig(
        image_size=model.unet.image_size,
        schedule=model.schedule.model_dump(mode="json"),
        clean_below=below,
        source=settings.init,
        source_weights=clean.weights_hash(),
    )
    return NoisedClip(clean, config, settings.seed)


def build_task(
    settings: FinetuneClipSettings, clip: NoisedClip, data: Any, held_out: Any
) -> NoisedClipTask:
    """With what the task needs of the CLIP as it was: caption features, and the teacher."""
    from textdiff.clip import ClipModel
    from textdiff.diffusion import NoiseSchedule, ScheduleConfig
    from textdiff.training.captions import CaptionFeatures
    from textdiff.training.tasks.noised_clip import NoisedClipTask

    texts = None
    if not settings.train_text:
        texts = CaptionFeatures(clip, data.training_captions)
    clip.train_parts(text=settings.train_text)
    return NoisedClipTask(
        clip,
        NoiseSchedule.from_config(ScheduleConfig(**clip.schedule_config)),
        settings.seed,
        settings.noise,
        texts,
        ClipModel.load(settings.init).freeze() if settings.distill else None,
        settings.distill,
        held_out,
        settings.eval_images,
        settings.max_shift,
        settings.distill_by_signal,
        settings.noise.clean_share,
    )
