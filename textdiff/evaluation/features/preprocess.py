"""Pictures made ready for a network that is no CLIP.

    uint8 (n, 3, H, W) -> [0, 1] -> square of side S by crop, pad or stretch -> (p - mean) / std

The resize filter is antialiased and what overshoots [0, 1] is cut, as in a picture file.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from textdiff.data.config import DataConfig
from textdiff.evaluation.features.extractor import Preprocessing
from textdiff.types import Images, Pictures

PADDING = 1.0  # white


def as_seen(config: DataConfig, seen: Preprocessing) -> DataConfig:
    """`config` with pictures as `seen`, but for what was asked for."""
    wanted: dict[str, Any] = {
        "image_size": seen.image_size,
        "resize": seen.resize,
        "resample": seen.resample,
    }
    unset = {name: value for name, value in wanted.items() if name not in config.model_fields_set}
    return config.model_copy(update=unset)


def network_input(images: Pictures, seen: Preprocessing, device: torch.device) -> Images:
    """Float32 (n, 3, S, S) on `device`."""
    pixels = to_square(images.to(device).float() / 255, seen)
    mean, std = (
        torch.tensor(values, device=device).view(3, 1, 1) for values in (seen.mean, seen.std)
    )
    return (pixels - mean) / std


def to_square(pixels: Tensor, seen: Preprocessing) -> Tensor:
    """(n, 3, H, W) in [0, 1] to (n, 3, S, S)."""
    side, (height, width) = seen.image_size, pixels.shape[-2:]
    if (height, width) == (side, side):
        return pixels
    if seen.resize == "stretch":
        size = (side, side)
    else:
        fit = min(height, width) if seen.resize == "crop" else max(height, width)
        size = (max(1, round(side * height / fit)), max(1, round(side * width / fit)))
    resized = F.interpolate(pixels, size, mode=seen.resample, antialias=True).clamp(0, 1)
    # crop by negative margins, or pad by positive ones
    top, left = (side - size[0]) // 2, (side - size[1]) // 2
    margins = (left, side - size[1] - left, top, side - size[0] - top)
    return F.pad(resized, margins, value=PADDING)
