"""One stream of noise per image, so that image k of a seed is the same at every batch size."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from textdiff.randomness import Stream, normals


class ImageNoise:
    """Draws standard normal noise image by image.

    Args:
        seeds: one tuple of parts per image, e.g. (seed, image number); see `randomness.Stream`.
        shape: of one sample, e.g. (C, H, W).
        device: where the noise is used. It is drawn on the CPU, so that a seed means the same
            picture on every device.
    """

    def __init__(
        self,
        seeds: Sequence[tuple[int | str, ...]],
        shape: tuple[int, ...],
        device: torch.device | str = "cpu",
    ):
        self.seeds = list(seeds)
        self.streams = [Stream("sampling", *parts) for parts in seeds]
        self.shape, self.device = shape, device

    def __getitem__(self, rows: Sequence[int]) -> ImageNoise:
        """The same streams of these images alone, from where they are; draws here move them on."""
        picked = copy.copy(self)
        picked.seeds = [self.seeds[row] for row in rows]
        picked.streams = [self.streams[row] for row in rows]
        return picked

    def __call__(self) -> Tensor:
        """The next draw, (len(seeds), *shape) float32."""
        return normals(self.streams, self.shape).to(self.device)
