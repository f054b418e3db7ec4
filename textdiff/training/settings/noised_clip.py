"""Settings of `textdiff finetune-clip`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from textdiff.config import Settings
from textdiff.data.config import RunData
from textdiff.diffusion.config import DensityConfig
from textdiff.training.config import ClipTrainConfig, Kept
from textdiff.training.settings.checked import DryRun


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
    warmup_steps: int = Field(
        200, ge=0, description="steps of linear warm-up; at most half of the run"
    )

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
    dry_run: DryRun = False
    seed: int = Field(0, description="of the timestep layers, order, noise and everything else")
    codec: str | None = Field(
        None,
        description="VAE whose noised latents it reads, that of the model of noise.schedule-from; "
        "none: the one in that model's folder, if it draws latents",
    )
    latents: Kept = Field(
        "sampled",
        description="of a model of latents: they are drawn from what the VAE says, or its mean",
    )
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
    data: RunData
    train: FinetuneTrainConfig = FinetuneTrainConfig()

    @property
    def reads_pictures(self) -> bool:
        """Of latents: whether training looks at the pictures themselves all the same, so that no
        cache of latents serves it."""
        return bool(self.distill or self.max_shift)

    @model_validator(mode="before")
    @classmethod
    def _noise_is_a_section(cls, values: dict[str, Any]) -> dict[str, Any]:
        """An absent section counts as an empty one: the error then names the one key that is
        required, `noise.schedule_from`."""
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
