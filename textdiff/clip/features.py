"""Features of many pictures and captions at once, to be measured, cached or guided towards.

images, captions -> chunks of 256 -> towers -> (n, E) on the CPU, not normalised
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from textdiff.clip.model import ClipModel
from textdiff.clip.noised import NoisedClip
from textdiff.types import Features, Pictures

CHUNK = 256


@torch.no_grad()
def image_features(clip: ClipModel, images: Pictures) -> Features:
    """Features (n, E) of uint8 images (n, 3, H, W), not normalised, on the CPU."""
    return torch.cat([clip.encode_image(chunk).cpu() for chunk in torch.split(images, CHUNK)])


@torch.no_grad()
def text_features(clip: ClipModel | NoisedClip, captions: Sequence[str]) -> Features:
    """Projected features (n, E) of one or more captions, not normalised, on the CPU."""
    chunks = [list(captions[i : i + CHUNK]) for i in range(0, len(captions), CHUNK)]
    return torch.cat([clip.encode_text(chunk).projected.cpu() for chunk in chunks])
