"""Black-and-white pictures for binary diffusion: uint8 -> grey -> -1 or +1."""

from __future__ import annotations

import torch
from torch import Tensor

from textdiff.types import Images

GREY = (0.299, 0.587, 0.114)  # luma of ITU-R 601, as Pillow's mode L


def binarised(image: Tensor, threshold: float = 0.5) -> Images:
    """uint8 (B, 1 or 3, H, W) -> float32 (B, 1, H, W): +1 from the grey `threshold` on, else -1."""
    grey = image.float() / 255
    if grey.shape[1] == 3:
        weights = torch.tensor(GREY, device=grey.device).view(1, 3, 1, 1)
        grey = (grey * weights).sum(1, keepdim=True)
    return torch.where(grey >= threshold, 1.0, -1.0)
