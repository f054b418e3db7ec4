"""A VAE as diffusers' `AutoencoderKL` whose own latents are normalised.

    mean' = (mean - m) / s,   logvar' = logvar - 2 log s      into quant_conv
    z = s z' + m                                              into post_quant_conv

with m, s the mean and deviation of the latents, by channel. Stock pipelines know one scaling_factor
for all channels, and no mean; these two layers are convolutions of 1x1, which take the map exactly.
A VAE without them gets them, as identities. scaling_factor is 1 then.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from textdiff import checkpoint
from textdiff.files import follow_umask
from textdiff.vae import LatentStatistics, Vae

if TYPE_CHECKING:
    from diffusers import AutoencoderKL

NOT_SCALED = {
    "scaling_factor": 1.0,
    "shift_factor": None,
    "latents_mean": None,
    "latents_std": None,
}


def vae_to_diffusers(vae: Vae, folder: str | Path | None = None) -> AutoencoderKL:
    """The network for normalised latents, in eval mode; written to `folder` if one is given.

    Raises:
        CheckpointError: nobody has measured its latents.
    """
    from diffusers import AutoencoderKL

    statistics, network = vae.measured(), vae.network
    options = {key: value for key, value in network.config.items() if not key.startswith("_")}
    options |= {**NOT_SCALED, "use_quant_conv": True, "use_post_quant_conv": True}
    theirs = AutoencoderKL(**options)
    with torch.no_grad():
        _become_identity(theirs.quant_conv)
        _become_identity(theirs.post_quant_conv)
    tensors = {name: tensor.cpu() for name, tensor in network.state_dict().items()}
    checkpoint.load_module(theirs, {**theirs.state_dict(), **tensors}, "diffusers' AutoencoderKL")
    with torch.no_grad():
        _normalise_output(theirs.quant_conv, statistics)
        _restore_input(theirs.post_quant_conv, statistics)
    theirs = theirs.eval().requires_grad_(False)
    if folder is not None:
        theirs.save_pretrained(folder)
        follow_umask(Path(folder))
    return theirs


def _become_identity(conv: nn.Conv2d) -> None:
    conv.weight.copy_(torch.eye(conv.out_channels).view_as(conv.weight))
    conv.bias.zero_()  # type: ignore[union-attr]  # diffusers' have one


def _normalise_output(conv: nn.Conv2d, statistics: LatentStatistics) -> None:
    """quant_conv, whose output is (mean, logvar)."""
    mean, std = _double(statistics.mean), _double(statistics.std)
    scale = torch.cat([1 / std, torch.ones_like(std)])
    shift = torch.cat([-mean / std, -2 * std.log()])
    weight, bias = conv.weight.double(), conv.bias.double()  # type: ignore[union-attr]
    conv.weight.copy_(weight * scale[:, None, None, None])
    conv.bias.copy_(bias * scale + shift)  # type: ignore[union-attr]


def _restore_input(conv: nn.Conv2d, statistics: LatentStatistics) -> None:
    """post_quant_conv, whose input is z."""
    mean, std = _double(statistics.mean), _double(statistics.std)
    weight, bias = conv.weight.double(), conv.bias.double()  # type: ignore[union-attr]
    conv.weight.copy_(weight * std[None, :, None, None])
    conv.bias.copy_(bias + weight[:, :, 0, 0] @ mean)  # type: ignore[union-attr]


def _double(values: Tensor) -> Tensor:
    return values.cpu().double()
