"""Small VAEs with random weights."""

from __future__ import annotations

from pathlib import Path

import torch

from textdiff.vae import LatentStatistics, Vae, VaeConfig

TINY = VaeConfig(block_channels=(8, 8, 8), latent_channels=4, norm_groups=4)


def tiny_vae(seed: int = 0, config: VaeConfig = TINY) -> Vae:
    """Of factor 4 and 4 channels, with statistics that are not those of its latents."""
    vae = Vae(Vae.build(config, seed)).frozen()
    channels = config.latent_channels
    mean = torch.linspace(-0.5, 0.5, channels)
    std = torch.linspace(0.5, 2.0, channels)
    vae.statistics = LatentStatistics(mean, std, 10, "nothing", vae.identity)
    return vae


def foreign_vae(folder: Path, seed: int = 0) -> Path:
    """As diffusers writes a network that nobody measured: its config names a scaling_factor."""
    Vae.build(TINY, seed).save_pretrained(folder)
    return folder


def vae_folder(folder: Path, seed: int = 0) -> Path:
    """`tiny_vae`, saved."""
    tiny_vae(seed).save(folder)
    return folder
