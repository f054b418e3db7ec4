"""Pixels as they are compared: blurred by a Gaussian of 1/64 of the picture's side.

Drawn outlines are frayed or half a pixel off; without the blur a thin line at the next pixel would
count as two wrong ones. 1/64 is half a pixel at 32x32: kinds are still told apart.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

SIGMA = 1 / 64  # of the picture's side


def margin_of(image_size: int) -> int:
    """How far the blur reaches, in pixels."""
    return math.ceil(2.5 * SIGMA * image_size)


def smooth(
    pixels: Float[Tensor, "n channels height width"], image_size: int
) -> Float[Tensor, "n channels higher wider"]:
    """Blurred, and larger by the margin on every side; outside is 0."""
    margin, sigma = margin_of(image_size), SIGMA * image_size
    steps = torch.arange(-margin, margin + 1, dtype=pixels.dtype)
    kernel = torch.softmax(-steps.square() / (2 * sigma**2), dim=0)
    flat = F.pad(pixels, (2 * margin,) * 4).flatten(0, 1)[:, None]
    flat = F.conv2d(flat, kernel.view(1, 1, 1, -1))
    flat = F.conv2d(flat, kernel.view(1, 1, -1, 1))
    return flat.unflatten(0, pixels.shape[:2])[:, :, 0]
