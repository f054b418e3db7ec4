"""Features of many pictures and captions at once, to be measured, cached or guided towards.

images, captions -> distinct ones -> chunks of 256 -> towers -> (n, E) on the CPU, not normalised

Equal pictures and equal captions have equal features, to the bit.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from textdiff.clip.distinct import once_per_row
from textdiff.clip.model import ClipModel
from textdiff.clip.noised import NoisedClip
from textdiff.types import Features, Pictures

CHUNK = 256


@torch.no_grad()
def image_features(clip: ClipModel, images: Pictures) -> Features:
    """Features (n, E) of uint8 images (n, 3, H, W), not normalised, on the CPU."""

    def encode(distinct: Pictures) -> Features:
        return torch.cat([clip.encode_image(part).cpu() for part in torch.split(distinct, CHUNK)])

    return once_per_row(encode, images.cpu())


@torch.no_grad()
def text_features(clip: ClipModel | NoisedClip, captions: Sequence[str]) -> Features:
    """Projected features (n, E) of one or more captions, not normalised, on the CPU."""
    number = {caption: k for k, caption in enumerate(dict.fromkeys(captions))}
    distinct = list(number)
    chunks = [distinct[i : i + CHUNK] for i in range(0, len(distinct), CHUNK)]
    features = torch.cat([clip.encode_text(chunk).projected.cpu() for chunk in chunks])
    return features[torch.tensor([number[caption] for caption in captions])]
