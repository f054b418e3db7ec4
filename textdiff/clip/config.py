"""Settings of a CLIP built from scratch: an image tower, a text transformer, the size they share.

image (3, S, S) -- ViT or ResNet --> (embed_dim,) <-- text transformer -- tokens (context_length,)
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from textdiff.config import Settings
from textdiff.latent_space import LatentSpace

TOKENIZER_VOCABULARY = 49408
TextLayers = Annotated[tuple[Annotated[int, Field(ge=-1)], ...], Field(min_length=1)]
LAST_LAYER: tuple[int, ...] = (-1,)
RESNET_STRIDE = 32


class ImageTowerConfig(Settings):
    """A vision transformer, or CLIP's modified ResNet with attention pooling."""

    kind: Literal["vit", "resnet"] = Field("vit", description="architecture of the image tower")
    image_size: int = Field(32, ge=1, description="side of the square input in pixels")
    width: int = Field(192, ge=2, description="vit: features per patch; resnet: stem channels")
    heads: int = Field(3, ge=1, description="attention heads; resnet: of its attention pooling")
    patch_size: int = Field(4, ge=1, description="vit: side of a patch in pixels")
    layers: int = Field(6, ge=1, description="vit: number of transformer blocks")
    resnet_layers: tuple[int, int, int, int] = Field(
        (1, 1, 1, 1), description="resnet: residual blocks in each of the four stages"
    )

    @property
    def attention_width(self) -> int:
        """Width that the heads share: the ResNet's stages end with 32 times its stem's channels."""
        return self.width if self.kind == "vit" else 32 * self.width

    @pydantic.model_validator(mode="after")
    def _sizes_fit(self) -> ImageTowerConfig:
        if self.attention_width % self.heads:
            raise ValueError(
                f"heads {self.heads} must divide the attention width {self.attention_width}"
                f"; {_nearest_divisor(self.attention_width, self.heads)} would"
            )
        if self.kind == "resnet":
            if self.width % 2:
                raise ValueError(f"a resnet's width must be even, got {self.width}")
            if min(self.resnet_layers) < 1:
                raise ValueError("resnet_layers needs at least one block in each stage")
        step = self.patch_size if self.kind == "vit" else RESNET_STRIDE
        if self.image_size % step:
            raise ValueError(
                f"image_size {self.image_size} must be a multiple of {step} "
                f"({'patch_size' if self.kind == 'vit' else 'the stride of a resnet'})"
                f"; {max(1, round(self.image_size / step)) * step} would do"
            )
        return self

    def to_open_clip(self) -> dict[str, Any]:
        """open_clip's `vision_cfg`."""
        vit = self.kind == "vit"
        return {
            "image_size": self.image_size,
            "layers": self.layers if vit else list(self.resnet_layers),
            "width": self.width,
            "head_width": self.attention_width // self.heads,
            "patch_size": self.patch_size if vit else None,
        }


class TextTowerConfig(Settings):
    """A causal transformer over byte-pair tokens, read out at the end-of-text token."""

    context_length: int = Field(
        32, ge=3, description="most tokens of a caption, start and end included"
    )
    vocab_size: int = Field(
        TOKENIZER_VOCABULARY, ge=TOKENIZER_VOCABULARY, description="tokens of open_clip's tokenizer"
    )
    width: int = Field(192, ge=1, description="features per token")
    heads: int = Field(3, ge=1, description="attention heads")
    layers: int = Field(4, ge=1, description="number of transformer blocks")

    @pydantic.model_validator(mode="after")
    def _sizes_fit(self) -> TextTowerConfig:
        if self.width % self.heads:
            raise ValueError(
                f"heads {self.heads} must divide width {self.width}"
                f"; {_nearest_divisor(self.width, self.heads)} would"
            )
        return self


class ClipConfig(Settings):
    """A small CLIP; the defaults suit 32x32 pictures on a laptop's CPU."""

    image: ImageTowerConfig = ImageTowerConfig()
    text: TextTowerConfig = TextTowerConfig()
    embed_dim: int = Field(192, ge=1, description="length of the feature both towers end in")
    quick_gelu: bool = Field(False, description="OpenAI's x sigmoid(1.702 x) in place of GELU")

    def to_open_clip(self) -> dict[str, Any]:
        """open_clip's `model_cfg`."""
        return {
            "embed_dim": self.embed_dim,
            "quick_gelu": self.quick_gelu,
            "vision_cfg": self.image.to_open_clip(),
            "text_cfg": self.text.model_dump(),
        }


class NoisedClipConfig(Settings):
    """Contents of noised.yaml: the noised pictures x_t that a noised CLIP was trained on."""

    image_size: int = Field(
        ge=1, le=16_384, description="side of x_t, in pixels or in places of latents"
    )
    latents: LatentSpace | None = Field(None, description="which latents it reads; none: pixels")
    schedule: dict[str, Any] = Field(
        description="noise schedule, as diffusion's ScheduleConfig; this room reads T alone"
    )
    clean_below: int = Field(
        0, ge=0, description="smaller timesteps are read by the image tower as it was"
    )
    source: str | None = Field(None, description="CLIP that it was fine-tuned from")
    source_weights: str | None = Field(None, description="the hash of that one's weights")

    @property
    def channels(self) -> int:
        """Of x_t."""
        return 3 if self.latents is None else self.latents.channels

    @property
    def num_timesteps(self) -> int:
        """T: timesteps are 0..T-1."""
        return self.schedule["num_timesteps"]

    @pydantic.model_validator(mode="after")
    def _leaves_timesteps(self) -> NoisedClipConfig:
        if self.clean_below >= self.num_timesteps:
            raise ValueError(
                f"clean_below {self.clean_below} leaves none of the timesteps 0.."
                f"{self.num_timesteps - 1} to a noised CLIP; give a smaller one"
            )
        if self.clean_below and self.latents:
            raise ValueError(
                f"clean_below {self.clean_below} with latents, which the image tower as it was "
                "cannot read; leave it out"
            )
        return self

    @pydantic.field_validator("schedule")
    @classmethod
    def _has_timesteps(cls, schedule: dict[str, Any]) -> dict[str, Any]:
        count = schedule.get("num_timesteps")
        if type(count) is not int or not 1 <= count <= 100_000:
            raise ValueError(
                f"schedule.num_timesteps must be 1 or more, 100,000 at most, got {count!r:.60}"
            )
        return schedule


def _nearest_divisor(number: int, to: int) -> int:
    divisors = (d for d in range(1, number + 1) if number % d == 0)
    return min(divisors, key=lambda divisor: abs(divisor - to))
