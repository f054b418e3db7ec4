"""Residual blocks and the levels of the U-Net built from them.

    ResidualBlock:  h  = conv1(silu(norm1(x)))                   [scale, shift] = W emb
                    h' = norm2(h) (1 + scale) + shift            or norm2(h + shift)
                    x' = shortcut(x) + conv2(dropout(silu(h')))

Submodules carry the names of diffusers' `ResnetBlock2D`, `CrossAttnDownBlock2D` / `DownBlock2D`,
`UNetMidBlock2DCrossAttn` and `CrossAttnUpBlock2D` / `UpBlock2D`. In all of them `emb` (B, time_dim)
is the embedding of timestep and pooled text after its SiLU, or (1, time_dim) if all rows share it;
`text` the token features (B, L, D), or what each attention made of them before; and `text_mask`
(B, 1, 1, L) is True where a token is real.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from textdiff.models.attention import SpatialTransformer, TextSource
from textdiff.models.config import UNetConfig
from textdiff.models.initial import zero_parameters
from textdiff.models.upsample import upsample_conv


class ResidualBlock(nn.Module):
    """Two convolutions with the embedding between them (DDPM; scale and shift: ADM's AdaGN).

    Starts as its shortcut: the second convolution is zero.
    """

    def __init__(self, in_channels: int, out_channels: int, config: UNetConfig) -> None:
        super().__init__()
        self.scale_shift = config.time_scale_shift
        self.norm1 = nn.GroupNorm(config.norm_groups, in_channels)
        self.conv1 = _conv3x3(in_channels, out_channels)
        self.time_emb_proj = nn.Linear(
            config.time_dim, 2 * out_channels if self.scale_shift else out_channels
        )
        self.norm2 = nn.GroupNorm(config.norm_groups, out_channels)
        self.dropout = nn.Dropout(config.dropout)
        self.conv2 = _conv3x3(out_channels, out_channels)
        same = in_channels == out_channels
        self.conv_shortcut = nn.Identity() if same else nn.Conv2d(in_channels, out_channels, 1)
        zero_parameters(self.conv2)

    def forward(self, x: Tensor, emb: Tensor) -> Tensor:
        """x: (B, in_channels, H, W) -> (B, out_channels, H, W)."""
        h = self.conv1(F.silu(self.norm1(x)))
        emb = self.time_emb_proj(emb)[:, :, None, None]
        if self.scale_shift:
            scale, shift = emb.chunk(2, dim=1)
            h = self.norm2(h) * (1 + scale) + shift
        else:
            h = self.norm2(h + emb)
        return self.conv_shortcut(x) + self.conv2(self.dropout(F.silu(h)))


class Downsample(nn.Module):
    """Half the height and width, by a strided convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, kernel_size=3, stride=2, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Upsample(nn.Module):
    """Twice the height and width: each pixel repeated, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = _conv3x3(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return upsample_conv(x, self.conv.weight, self.conv.bias)


class DownBlock(nn.Module):
    """One level on the way down. What each layer and the halving put out are the skips."""

    def __init__(self, level: int, in_channels: int, config: UNetConfig) -> None:
        super().__init__()
        channels, layers = config.block_channels[level], config.layers[level]
        last = level == len(config.block_channels) - 1
        self.resnets = nn.ModuleList(
            ResidualBlock(channels if layer else in_channels, channels, config)
            for layer in range(layers)
        )
        self.attentions = _attentions(layers if config.attention[level] else 0, channels, config)
        self.downsamplers = nn.ModuleList([] if last else [Downsample(channels)])
        self.skip_channels = [channels] * (layers + len(self.downsamplers))

    def forward(
        self, x: Tensor, emb: Tensor, text: TextSource, text_mask: Tensor | None
    ) -> tuple[Tensor, list[Tensor]]:
        """(B, in_channels, H, W) -> the level's output at full size and its skips, shallow to deep.
        `halve` takes that output to the next level."""
        skips = []
        for layer, resnet in enumerate(self.resnets):
            x = resnet(x, emb)
            if self.attentions:
                x = self.attentions[layer](x, text, text_mask)
            skips.append(x)
        return x, skips

    def halve(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """What `forward` returned -> half its size, and the skip of that; the last level gives back
        its input and no skip."""
        for downsample in self.downsamplers:
            x = downsample(x)
        return x, [x] * len(self.downsamplers)


class MidBlock(nn.Module):
    """Residual block, attention, residual block at the smallest size."""

    def __init__(self, config: UNetConfig) -> None:
        super().__init__()
        channels = config.block_channels[-1]
        self.resnets = nn.ModuleList(ResidualBlock(channels, channels, config) for _ in range(2))
        self.attentions = _attentions(1, channels, config)

    def forward(self, x: Tensor, emb: Tensor, text: TextSource, text_mask: Tensor | None) -> Tensor:
        x = self.resnets[0](x, emb)
        x = self.attentions[0](x, text, text_mask)
        return self.resnets[1](x, emb)


class UpBlock(nn.Module):
    """One level on the way up; each residual block takes the next skip beside its input."""

    def __init__(
        self, level: int, in_channels: int, skip_channels: list[int], config: UNetConfig
    ) -> None:
        """skip_channels: widths of the skips in the order they are used, deepest first."""
        super().__init__()
        channels, layers = config.block_channels[level], len(skip_channels)
        self.resnets = nn.ModuleList(
            ResidualBlock((channels if layer else in_channels) + skip, channels, config)
            for layer, skip in enumerate(skip_channels)
        )
        self.attentions = _attentions(layers if config.attention[level] else 0, channels, config)
        self.upsamplers = nn.ModuleList([Upsample(channels)] if level else [])

    def forward(
        self,
        x: Tensor,
        skips: list[Tensor],
        emb: Tensor,
        text: TextSource,
        text_mask: Tensor | None,
    ) -> Tensor:
        """Takes what it uses from the end of `skips`."""
        for layer, resnet in enumerate(self.resnets):
            x = resnet(torch.cat([x, skips.pop()], dim=1), emb)
            if self.attentions:
                x = self.attentions[layer](x, text, text_mask)
        for upsample in self.upsamplers:
            x = upsample(x)
        return x


def _conv3x3(in_channels: int, out_channels: int) -> nn.Conv2d:
    return nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1)


def _attentions(count: int, channels: int, config: UNetConfig) -> nn.ModuleList:
    return nn.ModuleList(SpatialTransformer(channels, config) for _ in range(count))
