"""What the tests of binary diffusion share: small pictures, and all of them."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor


def picture(values, dtype=torch.float64) -> Tensor:
    """(1, 1, 1, m)"""
    return torch.tensor(values, dtype=dtype).view(1, 1, 1, -1)


def all_pictures(num_pixels: int) -> Tensor:
    """(2^m, 1, 1, m) float64"""
    states = list(itertools.product((-1.0, 1.0), repeat=num_pixels))
    return torch.tensor(states, dtype=torch.float64).view(-1, 1, 1, num_pixels)


def flips_at_once(p: float, num_pixels: int) -> Tensor:
    """(2^m, 2^m) probabilities of [from, to] where each pixel flips with probability p."""
    states = all_pictures(num_pixels).flatten(1)
    differing = (states[:, None] != states[None]).sum(-1)
    return p ** differing.double() * (1 - p) ** (num_pixels - differing)
