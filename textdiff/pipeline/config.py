"""Settings of a text-to-image model and of sampling from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator
from typing_extensions import Self

from textdiff.binary.config import BinaryConfig
from textdiff.clip.config import LAST_LAYER, TextLayers
from textdiff.config import Settings
from textdiff.diffusion.config import (
    PredictionType,
    ProcessType,
    ScheduleConfig,
    VarianceType,
    check_prediction,
)
from textdiff.models.config import UNetConfig
from textdiff.pipeline.sections import (
    ClipGuidanceConfig,
    SelectionConfig,
    UnclipConfig,
    check_interval,
)
from textdiff.sampling.config import Spacing

GuidanceOver = Literal["both", "image", "caption"]


class ModelConfig(Settings):
    """What model.yaml holds: enough to rebuild the model from its weights."""

    clip: str = Field(description="where the CLIP in clip/ came from")
    text_layers: TextLayers = Field(
        LAST_LAYER, description="layers of its text tower that the U-Net attends to"
    )
    text_padding: bool = Field(
        False, description="it attends to what the tower makes of padding too"
    )
    process: ProcessType = Field("gaussian", description="noise, or flips of black and white")
    prediction: PredictionType = Field("eps", description="gaussian: what the U-Net outputs")
    schedule: ScheduleConfig = ScheduleConfig()
    binary: BinaryConfig = BinaryConfig()
    vae: str | None = Field(
        None, description="where the VAE in vae/ came from; none: pixels are diffused"
    )
    vae_factor: int = Field(1, ge=1, description="pixels a side per place of the VAE's latents")
    unet: UNetConfig = UNetConfig()

    @model_validator(mode="after")
    def _check(self) -> ModelConfig:
        check_prediction(self.prediction, self.schedule)
        if self.vae is None and self.vae_factor != 1:
            raise ValueError(f"vae_factor {self.vae_factor} without a vae")
        if self.vae is not None and self.process == "binary":
            raise ValueError("process binary with a vae: latents are no coins")
        return self

    @property
    def image_size(self) -> int:
        """Side of the pictures; `unet.image_size` is that of x_t."""
        return self.unet.image_size * self.vae_factor


class SamplingConfig(Settings):
    """How pictures are drawn."""

    short_names: ClassVar[Mapping[str, str]] = {
        "best_of": "selection.best_of",
        "judge": "selection.judge",
        "keep_after": "selection.keep_after",
        "clip_guidance_scale": "clip_guidance.scale",
        "clip_guide": "clip_guidance.guide",
        "clip_guidance_at": "clip_guidance.at",
        "clip_prompts": "clip_guidance.prompts",
        "clip_weights": "clip_guidance.weights",
        "clip_guidance_interval": "clip_guidance.interval",
        "clip_guidance_every": "clip_guidance.every",
        "clip_through_unet": "clip_guidance.through_unet",
        "clip_cutouts": "clip_guidance.cutouts",
        "clip_normalise": "clip_guidance.normalise",
        "clip_gradient_max": "clip_guidance.gradient_max",
        **{name: f"unclip.{name}" for name in UnclipConfig.model_fields},
    }

    sampler: Literal["ddim", "ddpm", "dpmpp", "dpmpp_sde", "unipc"] = Field(
        "ddim", description="update rule; dpmpp, DPM-Solver++(2M), and unipc need fewer steps"
    )
    num_steps: int = Field(50, ge=1, description="denoising steps")
    spacing: Spacing = Field("trailing", description="which timesteps are visited")
    timesteps: tuple[int, ...] | None = Field(
        None,
        min_length=1,
        description="the timesteps themselves, noisiest first; num_steps and spacing do not count",
    )
    guidance_scale: float = Field(
        3.0, ge=0, description="classifier-free guidance; 1 is off and halves the U-Net's work"
    )
    guidance_over: GuidanceOver = Field(
        "both",
        description="unCLIP: what the side that guidance pushes away from lacks: the picture's "
        "embedding, the caption (it has the negative prompt), or both",
    )
    guidance_interval: tuple[int, int] | None = Field(
        None, description="lowest and highest timestep to guide at; none: all"
    )
    guidance_rescale: float = Field(
        0.0, ge=0, le=1, description="how far guidance's added contrast is undone; 0 is off"
    )
    negative_prompt: str = Field("", description="what guidance pushes away from")
    text_to_unet: bool = Field(
        True,
        description="give the U-Net the prompts; without, it draws from the negative prompt alone "
        "and only CLIP, where it guides, knows what is wanted",
    )
    seed: int = Field(0, description="image k of a seed is the same at every batch size")
    eta: float = Field(0.0, ge=0, le=1, description="ddim: 0 deterministic, 1 ancestral")
    variance: Literal["auto", VarianceType] = Field(
        "auto", description="ddpm: beta_tilde, beta, or the model's own; auto: learned if there"
    )
    threshold: Literal["auto", "none", "static", "dynamic"] = Field(
        "auto",
        description="how x_0_hat is kept in [-1, 1] at every step; auto: static, of latents, which "
        "have no such range, none",
    )
    threshold_percentile: float = Field(
        0.995, gt=0, le=1, description="dynamic: share of pixels that need not be scaled down"
    )
    strength: float | None = Field(
        None,
        gt=0,
        le=1,
        description="with an init image: share of the forward process that is gone back, exactly: "
        "its timestep is put before the steps below it; none: 0.6, with a mask 1",
    )
    clip_guidance: ClipGuidanceConfig = ClipGuidanceConfig()
    selection: SelectionConfig = SelectionConfig()
    unclip: UnclipConfig = UnclipConfig()
    batch_size: int = Field(64, ge=1, description="images drawn at once")
    precision: Literal["no", "bf16", "auto"] = Field(
        "no", description="of the U-Net; bf16 is faster and rougher; auto: bf16 if a probe says so"
    )
    deep_cache_every: int = Field(
        1,
        ge=1,
        description="run the U-Net below its first level at every k-th step only, which is faster "
        "and rougher; 1: at every step",
    )
    graphs: bool = Field(
        True,
        description="on a GPU, launch the kernels of a step together, from the fourth of its kind "
        "on: the same pictures sooner, for memory that is kept",
    )
    strict: bool = Field(
        False,
        description="refuse a prompt that is too long for the text tower, in place of cutting it "
        "with a warning",
    )

    @model_validator(mode="after")
    def _check(self) -> SamplingConfig:
        check_interval("guidance_interval", self.guidance_interval)
        return self

    def with_scales(self, guidance_scale: float, clip_guidance_scale: float) -> Self:
        """The same settings with these scales."""
        clip_guidance = self.clip_guidance.model_copy(update={"scale": clip_guidance_scale})
        scales = {"guidance_scale": guidance_scale, "clip_guidance": clip_guidance}
        return self.model_copy(update=scales)


# Sections of SamplingConfig, whose values have short names; and the names but that of the CLIP that
# chooses, for commands that call the one that evaluates their judge.
SECTIONS = ("clip_guidance", "selection", "unclip")
NAMES_BUT_JUDGE = {
    short: key for short, key in SamplingConfig.short_names.items() if short != "judge"
}


def sampling_only(config: SamplingConfig) -> SamplingConfig:
    """`config` without what a command's settings add to it."""
    names = SamplingConfig.model_fields
    return SamplingConfig.model_construct(**{name: getattr(config, name) for name in names})


def flat_settings(config: SamplingConfig) -> dict[str, Any]:
    """How pictures are drawn, for JSON: a key per flag, without those that a command adds."""
    values = sampling_only(config).model_dump(mode="json")
    sections = {name: values.pop(name) for name in SECTIONS}
    for short, key in SamplingConfig.short_names.items():
        section, name = key.split(".")
        values[short] = sections[section][name]
    return values
