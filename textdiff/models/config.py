"""Settings of the U-Net.

    level i:  block_channels[i] channels at image_size / (patch_size * 2^i) pixels a side;
              layers[i] residual blocks down, layers[i] + 1 up, where attention[i] each followed
              by attention
    middle:   the last level's channels and size, always with attention

`patch_size=1`, the default, is the plain variant: its weights are those of diffusers'
`UNet2DConditionModel`, name by name.
"""

from __future__ import annotations

from typing import Annotated

import pydantic
from pydantic import Field

from textdiff.config import Settings

# Far beyond what anybody trains: a file may come from anywhere, and what it asks for is made before
# it can be compared with weights. Without memory, but it takes its time.
MOST, MOST_LAYERS, MOST_BLOCKS = 65_536, 256, 2_048
Channels = Annotated[int, Field(le=MOST)]
Layers = Annotated[int, Field(le=MOST_LAYERS)]


class UNetConfig(Settings):
    """Shape of a U-Net. A wrong combination is refused with what would be right.

    `head_dim` is the width of one attention head, so a level has `channels / head_dim` heads.
    In diffusers, `attention_head_dim` holds the number of heads despite its name: export
    `block_channels[i] // head_dim` there.
    """

    image_size: int = Field(32, description="pixels a side of the images", ge=1, le=16_384)
    in_channels: int = Field(3, description="channels of the noised image", ge=1, le=MOST)
    out_channels: int | None = Field(
        None,
        description="channels of the prediction, variance aside; none: as in_channels",
        ge=1,
        le=MOST,
    )
    learned_variance: bool = Field(False, description="output 2C channels, the last C for variance")
    patch_size: int = Field(
        1, description="fold squares of this side into channels before the first level", ge=1, le=64
    )
    block_channels: tuple[Channels, ...] = Field(
        (64, 128, 192),
        description="channels per level, from full size downwards",
        min_length=1,
        max_length=12,
    )
    layers_per_block: Layers | tuple[Layers, ...] = Field(
        2, description="residual blocks on the way down, for all levels or one number per level"
    )
    attention: tuple[bool, ...] = Field(
        (False, True, True), description="per level: attend to the image itself and to the text"
    )
    head_dim: int = Field(32, description="width of one attention head", ge=1, le=MOST)
    transformer_layers: int = Field(
        1, description="transformer blocks per attention", ge=1, le=MOST_LAYERS
    )
    cross_attention_dim: int = Field(
        256, description="width of the text's token features", ge=1, le=MOST
    )
    pooled_dim: int | None = Field(
        None, description="width of the pooled text feature; none: it is not used", ge=1, le=MOST
    )
    image_dim: int | None = Field(
        None,
        description="unCLIP: width of the picture's CLIP embedding; none: no decoder",
        ge=1,
        le=MOST,
    )
    norm_groups: int = Field(32, description="groups of the group norms", ge=1, le=MOST)
    time_scale_shift: bool = Field(
        True, description="timestep scales and shifts the second norm of a block; false: is added"
    )
    linear_projection: bool = Field(
        False, description="store attention's in and out projections as linear, not 1x1 conv"
    )
    dropout: float = Field(0.0, description="dropout in the residual blocks", ge=0.0, lt=1.0)

    @pydantic.model_validator(mode="after")
    def _check(self) -> UNetConfig:
        levels = len(self.block_channels)
        for name, count in (
            ("attention", len(self.attention)),
            ("layers_per_block", len(self.layers)),
        ):
            if count != levels:
                raise ValueError(
                    f"{name} has {count} entries but block_channels has {levels} levels; "
                    "give one entry per level"
                )
        if min(self.layers) < 1:
            raise ValueError(f"layers_per_block {self.layers} must be 1 or more at each level")
        blocks = sum(2 * layers + 1 for layers in self.layers) * self.transformer_layers
        if blocks > MOST_BLOCKS:
            raise ValueError(
                f"layers_per_block {self.layers} times transformer_layers "
                f"{self.transformer_layers} is {blocks:,} blocks; {MOST_BLOCKS:,} at most are built"
            )
        self._check_channels()
        self._check_image_size(levels)
        return self

    def _check_channels(self) -> None:
        for level, channels in enumerate(self.block_channels):
            if channels < 1 or channels % self.norm_groups:
                raise ValueError(
                    f"{channels} channels at level {level} cannot be split into {self.norm_groups} "
                    f"norm groups; use a multiple of {self.norm_groups} or fewer norm_groups"
                )
            last = level == len(self.block_channels) - 1
            if (self.attention[level] or last) and channels % self.head_dim:
                raise ValueError(
                    f"{channels} channels at level {level} cannot be split into heads of width "
                    f"{self.head_dim}; use a multiple of {self.head_dim} or another head_dim"
                    + (" (the middle block attends at the last level's width)" if last else "")
                )

    def _check_image_size(self, levels: int) -> None:
        if self.image_size % self.size_multiple:
            patches = f"cut into patches of {self.patch_size} and " if self.patch_size > 1 else ""
            raise ValueError(
                f"image size {self.image_size} cannot be {patches}halved {levels - 1} times "
                f"({levels} levels); use a multiple of {self.size_multiple} or fewer levels"
            )

    @property
    def layers(self) -> tuple[int, ...]:
        """`layers_per_block` with one entry per level; a flag with one number means all levels."""
        layers = self.layers_per_block
        layers = (layers,) if isinstance(layers, int) else layers
        return layers * len(self.block_channels) if len(layers) == 1 else layers

    @property
    def size_multiple(self) -> int:
        """What height and width must be divisible by."""
        return self.patch_size * 2 ** (len(self.block_channels) - 1)

    @property
    def network_channels(self) -> int:
        """Channels that `UNet.forward` returns: C, or 2C with learned variance."""
        return (self.out_channels or self.in_channels) * (2 if self.learned_variance else 1)

    @property
    def time_dim(self) -> int:
        """Width of the embedding of timestep and pooled text."""
        return 4 * self.block_channels[0]
