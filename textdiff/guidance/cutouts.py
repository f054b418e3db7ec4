"""Cutouts: a CLIP's mean feature over K random views of each picture.

    view   a square of 50% to 100% of the side, anywhere inside, turned by up to 10 degrees
    f(x) = mean_k f(view_k(x))

A clean CLIP's gradient at one picture is full of patterns that mean nothing to the eye; those of
several views agree on what is seen in all. Views are not mirrored: arrows and letters carry
meaning. They have the picture's size, so that CLIP's own resizing does the rest.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from textdiff.guidance.similarity import Encode
from textdiff.randomness import Stream
from textdiff.types import Features, Images, Timesteps

SMALLEST = 0.5
LARGEST_TURN = torch.pi / 18


def cutout_streams(seeds: Sequence[tuple[int | str, ...]]) -> list[Stream]:
    """What each picture's views are drawn from. seeds: one tuple of parts per picture."""
    return [Stream("cutouts", *parts) for parts in seeds]


def cutout_encoder(encode: Encode, count: int, streams: Sequence[Stream]) -> Encode:
    """Mean features over `count` views, which need not have unit length.

    Args:
        streams: one per picture. Every call draws views of its own, and a picture's are the same
            at every batch size.
    """

    def mean_feature(x: Images, timestep: Timesteps) -> Features:
        drawn = torch.stack([stream.uniform(count, 4) for stream in streams])
        views = cut(x, drawn.to(x.device, x.dtype))
        features = encode(views.flatten(0, 1), timestep.repeat_interleave(count))
        return features.unflatten(0, (len(x), count)).mean(dim=1)

    return mean_feature


def cut(x: Images, drawn: Tensor) -> Tensor:
    """Views (B, K, C, H, W) of x, bilinear. drawn: (B, K, 4) in [0, 1): size, place, turn."""
    count = drawn.shape[1]
    size, across, down, turn = drawn.flatten(0, 1).unbind(-1)
    size = SMALLEST + (1 - SMALLEST) * size
    angle = (2 * turn - 1) * LARGEST_TURN
    cos, sin = size * angle.cos(), size * angle.sin()
    room = 1 - size  # how far the middle may lie from the picture's, in half sides
    rows = [cos, -sin, room * (2 * across - 1), sin, cos, room * (2 * down - 1)]
    grid = F.affine_grid(
        torch.stack(rows, dim=-1).view(-1, 2, 3),
        [len(size), *x.shape[1:]],
        align_corners=False,
    )
    repeated = x.repeat_interleave(count, dim=0)
    views = F.grid_sample(repeated, grid, padding_mode="border", align_corners=False)
    return views.unflatten(0, (len(x), count))
