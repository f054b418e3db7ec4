"""The plain U-Net is diffusers' UNet2DConditionModel: the weights, outputs and gradients."""

from __future__ import annotations

import pytest
import torch
from diffusers import UNet2DConditionModel

from textdiff.interop import layout_to_diffusers, unet_from_diffusers, unet_to_diffusers
from textdiff.models import UNet, UNetConfig
from textdiff.types import Conditioning

LAYOUTS = {
    "one level, no attention": {"block_channels": (16,), "attention": (False,)},
    "one level": {"block_channels": (16,), "attention": (True,), "layers_per_block": 3},
    "two levels, additive": {
        "block_channels": (8, 24),
        "attention": (False, True),
        "time_scale_shift": False,
    },
    "attention at full size alone": {
        "block_channels": (8, 16),
        "attention": (True, False),
        "linear_projection": True,
    },
    "no attention outside the middle": {
        "block_channels": (8, 16, 16),
        "attention": (False, False, False),
    },
    "three levels, wide heads": {
        "block_channels": (16, 32, 48),
        "attention": (False, True, True),
        "layers_per_block": 2,
        "head_dim": 16,
        "cross_attention_dim": 20,
    },
    "pooled": {"block_channels": (8, 16), "attention": (True, True), "pooled_dim": 6},
    "pooled, additive, learned variance": {
        "block_channels": (8, 16),
        "attention": (False, True),
        "pooled_dim": 5,
        "time_scale_shift": False,
        "learned_variance": True,
    },
    "masked": {"block_channels": (8, 16), "attention": (True, True), "masked": True},
    "masked, deep transformers": {
        "block_channels": (8, 16),
        "attention": (False, True),
        "masked": True,
        "transformer_layers": 2,
        "linear_projection": True,
    },
    "four levels, layers by level": {
        "block_channels": (8, 16, 24, 32),
        "attention": (False, True, False, True),
        "layers_per_block": (1, 2, 3, 1),
        "norm_groups": 8,
    },
}


def both(layout: str) -> tuple[UNet, torch.nn.Module, tuple]:
    """Our U-Net and diffusers' with the latter's weights, and inputs for them."""
    defaults = {
        "image_size": 8,
        "layers_per_block": 1,
        "head_dim": 8,
        "cross_attention_dim": 12,
        "norm_groups": 4,
    }
    settings = {**defaults, **LAYOUTS[layout]}
    masked = settings.pop("masked", False)
    config = UNetConfig(**settings)
    torch.manual_seed(0)
    theirs = UNet2DConditionModel(**layout_to_diffusers(config))
    ours = unet_from_diffusers(theirs)
    mask = torch.arange(7) < torch.tensor([[3], [7]]) if masked else None
    pooled = torch.randn(2, config.pooled_dim) if config.pooled_dim else None
    conditioning = Conditioning(torch.randn(2, 7, config.cross_attention_dim), pooled, mask)
    return ours, theirs, (torch.randn(2, 3, 8, 8), torch.tensor([3, 900]), conditioning)


def run_theirs(theirs: torch.nn.Module, inputs: tuple) -> torch.Tensor:
    x_t, timestep, conditioning = inputs
    return theirs(
        x_t,
        timestep,
        conditioning.tokens,
        class_labels=conditioning.pooled,
        encoder_attention_mask=conditioning.mask,
    ).sample


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_way_back(layout: str) -> None:
    ours, theirs, _ = both(layout)
    back = unet_to_diffusers(ours)
    torch.testing.assert_close(back.state_dict(), theirs.state_dict(), rtol=0, atol=0)
    assert back.config == theirs.config


@pytest.mark.parametrize("layout", LAYOUTS)
def test_outputs_are_equal(layout: str) -> None:
    ours, theirs, inputs = both(layout)
    with torch.no_grad():
        expected = run_theirs(theirs, inputs)
        torch.testing.assert_close(ours(*inputs), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_gradients_are_equal(layout: str) -> None:
    ours, theirs, inputs = both(layout)
    expected = run_theirs(theirs, inputs)
    probe = torch.randn_like(expected)
    (expected * probe).sum().backward()
    (ours(*inputs) * probe).sum().backward()
    gradients = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(
            parameter.grad, gradients[name], rtol=1e-4, atol=1e-4, msg=lambda m, n=name: f"{n}: {m}"
        )
