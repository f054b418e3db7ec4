"""Small networks of priors with weights that say something, and captions for them."""

from __future__ import annotations

import torch

from textdiff.models.autoregressive_prior import AutoregressivePrior
from textdiff.models.diffusion_prior import DiffusionPrior
from textdiff.models.prior_config import AutoregressivePriorConfig, DiffusionPriorConfig
from textdiff.types import Conditioning

SHAPE = {"width": 16, "heads": 2, "layers": 2, "embed_dim": 6, "text_width": 6, "context_length": 5}


def diffusion_prior(**changes) -> DiffusionPrior:
    return _shaken(DiffusionPrior, DiffusionPriorConfig(**{**SHAPE, **changes}))


def autoregressive_prior(**changes) -> AutoregressivePrior:
    codes = {"num_components": 2, "num_buckets": 3, "num_dots": 4}
    config = AutoregressivePriorConfig(**{**SHAPE, **codes, **changes})
    network, rng = _shaken(AutoregressivePrior, config), torch.Generator().manual_seed(3)
    network.fit(torch.randn(40, 6, generator=rng), torch.rand(40, generator=rng))
    return network


def _shaken(kind, config):
    """Every trained weight random, so that none is silently unused; the same at each call."""
    rng = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        network = kind(config)
        for weight in network.parameters():
            if weight.requires_grad:
                weight += 0.3 * torch.randn(weight.shape, generator=rng)
    return network.eval()


def captions(count: int, length: int = 4, width: int = 6, dim: int = 6) -> Conditioning:
    """Of these many captions; the last tokens of every other one are padding."""
    rng = torch.Generator().manual_seed(1)
    mask = torch.ones(count, length, dtype=torch.bool)
    mask[::2, length - 2 :] = False
    tokens = torch.randn(count, length, width, generator=rng) * mask[..., None]
    return Conditioning(tokens, torch.randn(count, dim, generator=rng), mask)
