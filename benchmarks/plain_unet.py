"""The plain U-Net, ours or diffusers' with the same weights, and the flags of its shape."""

from __future__ import annotations

import argparse

from textdiff.models import UNetConfig


def add_arguments(parser: argparse._ActionsContainer) -> None:
    """By default 16.7 million parameters."""
    parser.add_argument("--block-channels", type=int, nargs="+", default=[64, 128, 192])
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--head-dim", type=int, default=32)
    parser.add_argument("--norm-groups", type=int, default=32)


def plain_unet(
    options: argparse.Namespace, cross_attention_dim: int, image_size: int
) -> UNetConfig:
    """Attention at all levels but the first."""
    channels = tuple(options.block_channels)
    return UNetConfig(
        image_size=image_size,
        block_channels=channels,
        layers_per_block=options.layers,
        attention=(False,) + (True,) * (len(channels) - 1),
        head_dim=options.head_dim,
        norm_groups=options.norm_groups,
        cross_attention_dim=cross_attention_dim,
    )
