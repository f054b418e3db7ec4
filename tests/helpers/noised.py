"""A noised CLIP without training."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from textdiff.clip import ClipModel, NoisedClip, NoisedClipConfig

SCHEDULE = {"name": "cosine", "num_timesteps": 100}


def noised_clip(
    source: Path, std: float = 0.3, image_size: int = 16, schedule: dict | None = None
) -> NoisedClip:
    """Of the CLIP at `source`, for pictures of 16x16, with timestep layers of random weights;
    std 0: it says what the clean one says."""
    clip = ClipModel.load(source)
    origin = {"source": str(source), "source_weights": clip.weights_hash()}
    config = NoisedClipConfig(image_size=image_size, schedule=schedule or SCHEDULE, **origin)
    noised = NoisedClip(clip, config)
    rng = torch.Generator().manual_seed(1)
    for parameter in noised.time.out.parameters():
        nn.init.normal_(parameter, std=std, generator=rng)
    return noised.freeze()
