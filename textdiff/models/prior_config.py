"""Settings of the networks that turn a caption into a CLIP image embedding."""

from __future__ import annotations

import pydantic
from pydantic import Field

from textdiff.config import Settings


class TransformerConfig(Settings):
    """Shape of a causal transformer."""

    width: int = Field(256, ge=2, le=65_536, description="features per token")
    heads: int = Field(4, ge=1, le=1024, description="attention heads")
    layers: int = Field(4, ge=1, le=256, description="number of transformer blocks")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout after attention and feed-forward")

    @pydantic.model_validator(mode="after")
    def _sizes_fit(self) -> TransformerConfig:
        if self.width % self.heads:
            right = min(
                (n for n in range(1, self.width + 1) if self.width % n == 0),
                key=lambda n: abs(n - self.heads),
            )
            raise ValueError(f"heads {self.heads} must divide width {self.width}; {right} would")
        return self

    @property
    def head_dim(self) -> int:
        return self.width // self.heads


class ReadsText(Settings):
    """What a prior's network is told of the CLIP; a training takes it from there.

    Captions enter as token features (B, L, text_width) of at most `context_length` tokens and as
    one feature (B, embed_dim).
    """

    embed_dim: int = Field(128, ge=1, le=65_536, description="length of CLIP's embeddings")
    text_width: int = Field(
        128, ge=1, le=65_536, description="width of the text tower's token features"
    )
    context_length: int = Field(32, ge=1, le=8192, description="most tokens of a caption")


class CodesConfig(Settings):
    """How an embedding becomes a sequence of codes (unCLIP, section 2.2)."""

    num_components: int = Field(
        32,
        ge=1,
        le=65_536,
        description="principal components that are kept, the largest eigenvalue first",
    )
    num_buckets: int = Field(
        64, ge=2, le=65_536, description="codes of each, evenly over its range"
    )
    num_dots: int = Field(
        16,
        ge=2,
        le=65_536,
        description="buckets of the cosine of image and text, equally many embeddings in each; "
        "drawing asks for the upper half of those that a caption has",
    )


class DiffusionPriorConfig(ReadsText, TransformerConfig):
    """Of `models.diffusion_prior.DiffusionPrior`."""


class AutoregressivePriorConfig(CodesConfig, ReadsText, TransformerConfig):
    """Of `models.autoregressive_prior.AutoregressivePrior`."""
