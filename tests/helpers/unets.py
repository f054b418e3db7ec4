"""Small U-Nets with weights away from zero, inputs for them, and what their layers see."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import nn

from textdiff import TextToImage
from textdiff.models import UNet, UNetConfig
from textdiff.types import Conditioning

TEXT_DIM, TOKENS, IMAGE_DIM = 10, 5, 7


@st.composite
def configs(draw: st.DrawFn) -> UNetConfig:
    levels = draw(st.integers(1, 3))
    patch_size = draw(st.sampled_from([1, 2]))
    per_level = {"min_size": levels, "max_size": levels}
    return UNetConfig(
        image_size=patch_size * 2 ** (levels - 1) * draw(st.integers(2, 3)),
        in_channels=draw(st.integers(1, 4)),
        learned_variance=draw(st.booleans()),
        patch_size=patch_size,
        block_channels=draw(st.lists(st.sampled_from([8, 16, 24]), **per_level)),
        layers_per_block=draw(st.lists(st.integers(1, 2), **per_level)),
        attention=draw(st.lists(st.booleans(), **per_level)),
        head_dim=draw(st.sampled_from([4, 8])),
        transformer_layers=draw(st.integers(1, 2)),
        cross_attention_dim=TEXT_DIM,
        pooled_dim=draw(st.sampled_from([None, 6])),
        image_dim=draw(st.sampled_from([None, IMAGE_DIM])),
        norm_groups=draw(st.sampled_from([2, 4])),
        time_scale_shift=draw(st.booleans()),
        linear_projection=draw(st.booleans()),
    )


SMALL = UNetConfig(
    image_size=8,
    block_channels=(8, 16),
    layers_per_block=1,
    attention=(True, True),
    head_dim=8,
    cross_attention_dim=TEXT_DIM,
    pooled_dim=6,
    norm_groups=4,
)


def trained(config: UNetConfig) -> UNet:
    """A U-Net whose weights are all away from zero, as after some training."""
    torch.manual_seed(0)
    unet = UNet(config)
    for parameter in unet.parameters():
        nn.init.normal_(parameter, std=0.2)
    return unet


def draw_inputs(config: UNetConfig, batch: int = 3) -> tuple:
    generator = torch.Generator().manual_seed(1)
    size = config.image_size
    x_t = torch.randn(batch, config.in_channels, size, size, generator=generator)
    timestep = torch.randint(1000, (batch,), generator=generator)
    tokens = torch.randn(batch, TOKENS, TEXT_DIM, generator=generator)
    pooled = torch.randn(batch, 6, generator=generator)
    mask = torch.arange(TOKENS) < torch.arange(2, 2 + batch)[:, None]
    image = torch.randn(batch, IMAGE_DIM, generator=generator)
    return x_t, timestep, Conditioning(tokens, pooled, mask, image)


class Rows:
    """How many rows a layer has seen at each of its calls."""

    def __init__(self, layer: torch.nn.Module) -> None:
        self.seen: list[int] = []
        layer.register_forward_pre_hook(lambda _layer, inputs: self.seen.append(len(inputs[0])))


def remade(pipe: TextToImage, process: str = "gaussian", **changes) -> TextToImage:
    """The tiny model with another U-Net, of random weights, which predicts v: eps would blow up
    rounding where noise prevails."""
    config = pipe.config.unet.model_copy(update=changes)
    torch.manual_seed(0)
    unet = UNet(config)
    for parameter in unet.parameters():
        if parameter.dim() > 1:
            nn.init.normal_(parameter, std=0.7 * parameter[0].numel() ** -0.5)
    kind = {"unet": config, "prediction": "v", "process": process}
    changed = pipe.config.model_copy(update=kind)
    return TextToImage(unet, pipe.clip, changed, vae=pipe.vae).freeze()
