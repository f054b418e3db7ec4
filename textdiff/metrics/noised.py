"""What a CLIP still sees under noise: features of x_t = sqrt(ac) x_0 + sqrt(1 - ac) eps.

eps of a picture is a function of (seed, draw, picture), the same at every timestep and for every
CLIP, so that differences between them are not those of the noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.pictures import to_float
from textdiff.randomness import Stream, normals
from textdiff.types import Features, Images, Pictures, Samples, Timesteps

CHUNK = 256

NoisedEncoder = Callable[[Images, Timesteps], Features]


def fixed_noise(ids: Sequence[int], shape: Sequence[int], seed: int = 0, draw: int = 0) -> Images:
    """eps (n, C, H, W) of the pictures with these numbers; `shape` is (C, H, W)."""
    return normals([Stream("noised", seed, draw, i) for i in ids], tuple(shape))


@torch.no_grad()
def noised_features(
    encode: NoisedEncoder,
    image: Pictures,
    eps: Samples,
    timestep: int,
    schedule: NoiseSchedule,
    to_x_0: Callable[[Pictures], Samples] = to_float,
) -> Features:
    """Features (n, D) of uint8 pictures (n, 3, H, W) at one timestep, not normalised.

    to_x_0: what is noised, of the shape of eps.
    """
    features = []
    for part, noise in zip(image.split(CHUNK), eps.split(CHUNK), strict=True):
        timesteps = torch.full((len(part),), timestep)
        x_t = schedule.add_noise(to_x_0(part), noise, timesteps)
        features.append(encode(x_t, timesteps).cpu())
    return torch.cat(features)


def even_timesteps(count: int, num_timesteps: int) -> list[int]:
    """`count` of 0..T-1, evenly spaced, both ends among them; fewer where T is smaller."""
    steps = torch.linspace(0, num_timesteps - 1, count, dtype=torch.float64)
    return sorted(set(steps.round().long().tolist()))
