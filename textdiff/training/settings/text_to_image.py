"""Settings of `textdiff train`."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from textdiff.binary.config import BinaryConfig
from textdiff.clip.config import LAST_LAYER, TextLayers
from textdiff.data.config import DataConfig
from textdiff.diffusion.config import (
    ObjectiveConfig,
    PredictionType,
    ProcessType,
    ScheduleConfig,
    check_prediction,
)
from textdiff.models.config import UNetConfig
from textdiff.pipeline.config import SamplingConfig
from textdiff.training.config import Kept, TrainConfig
from textdiff.training.settings.checked import CheckedRunSettings


class PreviewConfig(SamplingConfig):
    """How the sample grid during training is drawn."""

    num_steps: int = Field(25, ge=1, description="denoising steps")
    num_prompts: int = Field(16, ge=0, description="captions of the training split in the grid")


class TrainSettings(CheckedRunSettings):
    """Text-to-image training."""

    clip: str = Field(description="folder of a CLIP, or MODEL/TAG of open_clip's list")
    seed: int = Field(0, description="of weights, order, noise and everything else")
    use_pooled: bool = Field(True, description="add the pooled text feature to the timestep's")
    text_layers: TextLayers = Field(
        LAST_LAYER,
        description="layers of CLIP's text tower that the U-Net attends to, side by side: 0, the "
        "words before any layer; k, after k layers; -1, after the last",
    )
    text_padding: bool = Field(
        False,
        description="let the U-Net attend to what the text tower makes of the padding behind a "
        "caption too: slower, but as diffusers' StableDiffusionPipeline does, for an export to it",
    )
    codec: str | None = Field(
        None,
        description="VAE whose latents are diffused: a run folder of train-vae, a folder or hub "
        "name of diffusers' AutoencoderKL; none: pixels are",
    )
    latents: Kept = Field(
        "sampled",
        description="codec: x_0 is drawn from what the VAE says of a picture, anew at each step, "
        "or its mean",
    )
    caption_drop: float = Field(
        0.1, ge=0, le=1, description="share of captions replaced by the empty one, for guidance"
    )
    embeddings: str | None = Field(
        None,
        description="unCLIP: what 'textdiff embed' wrote of the data, by the CLIP of --clip; a "
        "decoder is trained, which draws from a picture's embedding; none: from text alone",
    )
    image_drop: float = Field(
        0.1, ge=0, le=1, description="unCLIP: share of embeddings that are dropped, for guidance"
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
        if self.codec is not None:
            self._check_codec()
        elif self.latents != type(self).model_fields["latents"].default:
            raise ValueError(f"latents {self.latents} without a codec; give the VAE, --codec")
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

    def _check_codec(self) -> None:
        if self.process == "binary":
            raise ValueError(
                "process binary with a codec: its pixels are black or white, a VAE's latents are "
                "not; leave out codec"
            )
        if self.objective.loss in ("hybrid", "vlb"):
            raise ValueError(
                f"objective.loss {self.objective.loss} with a codec: its bound is on bits/dim of "
                "pixels; use simple, or another loss of latents"
            )

    @model_validator(mode="before")
    @classmethod
    def _same_image_size(cls, values: dict[str, Any]) -> dict[str, Any]:
        """The U-Net is checked against the data's image size, not against its own default. That of
        latents is known when the VAE is."""
        data, unet = values.get("data", {}), values.get("unet", {})
        if values.get("codec") is not None:
            return values
        if not isinstance(data, dict) or not isinstance(unet, dict):
            return values  # not sections: refused by their own types
        size = data.get("image_size", DataConfig().image_size)
        return {**values, "unet": {"image_size": size, **unet}}
