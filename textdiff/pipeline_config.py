"""Settings of a text-to-image model and of sampling from it."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from textdiff.config import Settings
from textdiff.diffusion.config import PredictionType, ScheduleConfig
from textdiff.models.config import UNetConfig


class ModelConfig(Settings):
    """What model.yaml holds: enough to rebuild the model from its weights."""

    clip: str = Field(description="where the CLIP came from; used if the folder has no clip/")
    prediction: PredictionType = Field("eps", description="what the U-Net outputs")
    schedule: ScheduleConfig = ScheduleConfig()
    unet: UNetConfig = UNetConfig()


class SamplingConfig(Settings):
    """How pictures are drawn."""

    sampler: Literal["ddim", "ddpm"] = Field("ddim", description="update rule")
    num_steps: int = Field(50, ge=1, description="denoising steps")
    guidance_scale: float = Field(
        3.0, ge=0, description="classifier-free guidance; 1 is off and halves the cost"
    )
    negative_prompt: str = Field("", description="what guidance pushes away from")
    seed: int = Field(0, description="image k of a seed is the same at every batch size")
    eta: float = Field(0.0, ge=0, le=1, description="ddim: 0 deterministic, 1 ancestral")
    variance: Literal["fixed_small", "fixed_large"] = Field(
        "fixed_small", description="ddpm: beta_tilde or beta"
    )
    spacing: Literal["trailing", "leading", "linspace"] = Field(
        "trailing", description="which timesteps are visited"
    )
    clip_denoised: bool = Field(True, description="clip x_0_hat to [-1, 1] at every step")
    batch_size: int = Field(64, ge=1, description="images drawn at once")

    def sampling(self) -> dict[str, Any]:
        """These settings alone, without those that a command adds."""
        return {name: getattr(self, name) for name in SamplingConfig.model_fields}
