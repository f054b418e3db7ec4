"""Settings of a VAE built from scratch: diffusers' `AutoencoderKL`.

level i of the encoder:  block_channels[i] channels at image_size / 2^i pixels a side
latents:                 (latent_channels, image_size / factor, image_size / factor)
"""

from __future__ import annotations

from typing import Any

import pydantic
from pydantic import Field

from textdiff.config import Settings

# of a config.json; of more, networks would be built that no weights fill
MOST = {
    "layers_per_block": 32,
    "latent_channels": 512,
    "norm_num_groups": 512,
    "sample_size": 8192,
}
LEVELS, CHANNELS = 12, 8192


class VaeConfig(Settings):
    """Shape of the encoder, and of the decoder, which mirrors it; the defaults suit 64x64 pictures
    on a laptop's CPU."""

    block_channels: tuple[int, ...] = Field(
        (32, 64, 64),
        min_length=1,
        max_length=LEVELS,
        description="channels per level, from full size downwards",
    )
    latent_channels: int = Field(
        4, ge=1, le=MOST["latent_channels"], description="channels of the latents"
    )
    layers_per_block: int = Field(
        1, ge=1, le=MOST["layers_per_block"], description="residual blocks per level of the encoder"
    )
    norm_groups: int = Field(
        16, ge=1, le=MOST["norm_num_groups"], description="groups of the group norms"
    )
    attention: bool = Field(False, description="attention over the latents' places in the middle")

    @pydantic.model_validator(mode="after")
    def _groups_fit(self) -> VaeConfig:
        for level, channels in enumerate(self.block_channels):
            if channels < 1 or channels % self.norm_groups:
                raise ValueError(
                    f"{channels} channels at level {level} cannot be split into {self.norm_groups} "
                    f"norm groups; use a multiple of {self.norm_groups} or fewer norm_groups"
                )
            if channels > CHANNELS:
                raise ValueError(f"{channels} channels at level {level}; the most is {CHANNELS}")
        return self

    @property
    def factor(self) -> int:
        """Pixels a side per place of the latents: each level but the last halves."""
        return factor_of(self.block_channels)

    def to_diffusers(self) -> dict[str, Any]:
        """Arguments of `AutoencoderKL`."""
        levels = len(self.block_channels)
        return {
            "down_block_types": ["DownEncoderBlock2D"] * levels,
            "up_block_types": ["UpDecoderBlock2D"] * levels,
            "block_out_channels": list(self.block_channels),
            "layers_per_block": self.layers_per_block,
            "latent_channels": self.latent_channels,
            "norm_num_groups": self.norm_groups,
            "mid_block_add_attention": self.attention,
        }


def factor_of(block_channels: tuple[int, ...] | list[int]) -> int:
    """Pixels a side per place of the latents, of a network with these levels."""
    return 2 ** (len(block_channels) - 1)
