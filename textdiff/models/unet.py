"""The text-conditional U-Net: eps_hat = UNet(x_t, timestep, text) (DDPM, ADM, GLIDE, LDM).

    emb  = silu(MLP(sinusoid(timestep)) + W pooled)
    text = token features, attended to at the chosen levels

    x_t ─ conv_in ─ down_blocks[0] ──── skips ────► up_blocks[2] ─ norm ─ silu ─ conv_out ─ eps_hat
                          ▼ half the size              ▲ twice the size
                    down_blocks[1] ──── skips ────► up_blocks[1]
                          ▼                            ▲
                    down_blocks[2] ──── skips ────► up_blocks[0]
                          └───────── mid_block ────────┘

The plain variant (`patch_size=1`) has the parameter names, shapes and arithmetic of diffusers'
`UNet2DConditionModel`; `pooled_dim` is its `class_embed_type="simple_projection"`.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from textdiff.embeddings import timestep_embedding
from textdiff.models.blocks import DownBlock, MidBlock, UpBlock
from textdiff.models.config import UNetConfig
from textdiff.models.embeddings import TimestepEmbedding
from textdiff.types import Conditioning, Images, Timesteps


class UNet(nn.Module):
    """`unet(x_t, timestep, conditioning)`: (B, C, H, W) -> (B, C or 2C, H, W).

    Weights start as PyTorch's defaults, except that what each residual block, each attention and
    the network add at the end is zero: at first blocks pass their input on and the output is 0,
    which keeps early gradients small at any depth (ADM).
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        self.config = config
        channels, area = config.block_channels, config.patch_size**2

        self.conv_in = nn.Conv2d(config.in_channels * area, channels[0], 3, padding=1)
        self.time_embedding = TimestepEmbedding(channels[0], config.time_dim)
        self.class_embedding = (
            nn.Linear(config.pooled_dim, config.time_dim) if config.pooled_dim else None
        )

        self.down_blocks, width, skips = nn.ModuleList(), channels[0], [channels[0]]
        for level in range(len(channels)):
            block = DownBlock(level, width, config)
            self.down_blocks.append(block)
            width, skips = channels[level], skips + block.skip_channels

        self.mid_block = MidBlock(config)

        self.up_blocks = nn.ModuleList()
        for level in reversed(range(len(channels))):
            taken = [skips.pop() for _ in range(config.layers[level] + 1)]
            self.up_blocks.append(UpBlock(level, width, taken, config))
            width = channels[level]

        self.conv_norm_out = nn.GroupNorm(config.norm_groups, channels[0])
        self.conv_out = nn.Conv2d(channels[0], config.network_channels * area, 3, padding=1)
        nn.init.zeros_(self.conv_out.weight)
        nn.init.zeros_(self.conv_out.bias)

    def forward(
        self, x_t: Images, timestep: Timesteps, conditioning: Conditioning | None
    ) -> Images:
        """One prediction for each image.

        Args:
            x_t: (B, in_channels, H, W), H and W multiples of `config.size_multiple`.
            timestep: (B,) int64, 0 = least noisy.
            conditioning: tokens (B, L, cross_attention_dim), pooled (B, pooled_dim) where the
                config names one (else it is ignored), mask (B, L) with a True in each row.

        Returns:
            (B, `config.network_channels`, H, W); evaluation differs from training by dropout alone.

        Raises:
            ValueError: conditioning or image do not fit the config.
        """
        self._check(x_t, conditioning)
        text = conditioning.tokens.to(x_t.dtype)
        text_mask = None if conditioning.mask is None else conditioning.mask[:, None, None, :]
        emb = self._embed(timestep, conditioning.pooled, x_t)

        x = self.conv_in(F.pixel_unshuffle(x_t, self.config.patch_size))
        skips = [x]
        for block in self.down_blocks:
            x, new_skips = block(x, emb, text, text_mask)
            skips += new_skips
        x = self.mid_block(x, emb, text, text_mask)
        for block in self.up_blocks:
            x = block(x, skips, emb, text, text_mask)
        x = self.conv_out(F.silu(self.conv_norm_out(x)))
        return F.pixel_shuffle(x, self.config.patch_size)

    @property
    def num_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())

    def _embed(self, timestep: Timesteps, pooled: Tensor | None, x_t: Images) -> Tensor:
        """(B, time_dim); the sinusoids are made in fp32 at any precision of the network."""
        sinusoids = timestep_embedding(timestep, self.config.block_channels[0])
        emb = self.time_embedding(sinusoids.to(x_t.dtype))
        if self.class_embedding is not None:
            emb = emb + self.class_embedding(pooled.to(x_t.dtype))
        return F.silu(emb)

    def _check(self, x_t: Images, conditioning: Conditioning | None) -> None:
        config = self.config
        if conditioning is None:
            raise ValueError(
                "the U-Net needs conditioning; for an unconditional prediction give the features "
                "of the empty caption"
            )
        _check_width("token features", conditioning.tokens, config.cross_attention_dim)
        if config.pooled_dim:
            _check_width("the pooled feature", conditioning.pooled, config.pooled_dim)
        if x_t.shape[1] != config.in_channels:
            raise ValueError(
                f"x_t has {x_t.shape[1]} channels; this U-Net takes {config.in_channels}"
            )
        if any(side % config.size_multiple for side in x_t.shape[2:]):
            raise ValueError(
                f"x_t is {x_t.shape[2]}x{x_t.shape[3]}; this U-Net takes sides that are "
                f"multiples of {config.size_multiple}"
            )


def _check_width(name: str, feature: Tensor | None, width: int) -> None:
    found = "missing" if feature is None else f"{feature.shape[-1]} wide"
    if feature is None or feature.shape[-1] != width:
        raise ValueError(f"{name} of the conditioning: {found}; this U-Net takes width {width}")
