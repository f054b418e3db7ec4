"""The U-Net that benchmarks compare with diffusers': the plain variant, and its flags."""

from __future__ import annotations

import argparse

from textdiff.models import UNetConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Its shape; 16.7 million parameters unless it is said."""
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--block-channels", type=int, nargs="+", default=[64, 128, 192])
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--head-dim", type=int, default=32)
    parser.add_argument("--norm-groups", type=int, default=32)


def plain_unet(options: argparse.Namespace, cross_attention_dim: int) -> UNetConfig:
    """Attention at all levels but the first."""
    channels = tuple(options.block_channels)
    return UNetConfig(
        image_size=options.image_size,
        block_channels=channels,
        layers_per_block=options.layers,
        attention=(False,) + (True,) * (len(channels) - 1),
        head_dim=options.head_dim,
        norm_groups=options.norm_groups,
        cross_attention_dim=cross_attention_dim,
    )
