"""The random part of a batch, sample by sample: noise, timestep, caption dropped or not.

(seed, step, epoch, sample id) ──► Draws        in training
("held out", seed, quarter, row) ──► Draws      in evaluation: the same at every step
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from textdiff.randomness import Stream, normals, uniform
from textdiff.types import Batch, PerSample, Timesteps

QUARTERS = 4


@dataclass
class Draws:
    """eps (B, C, H, W), timestep (B,), dropped: B times whether the caption is.

    weight: (B,) factors of the losses that undo how often each timestep is drawn; None: all 1.
    """

    eps: Tensor
    timestep: Tensor
    dropped: list[bool]
    weight: Tensor | None = None

    def __getitem__(self, rows: slice) -> Draws:
        weight = None if self.weight is None else self.weight[rows]
        return Draws(self.eps[rows], self.timestep[rows], self.dropped[rows], weight)

    def shown(self, captions: list[str]) -> list[str]:
        """`captions`, those that are dropped as the empty one."""
        pairs = zip(captions, self.dropped, strict=True)
        return ["" if drop else caption for caption, drop in pairs]


# uniforms (B,) in [0, 1) -> timesteps (B,), and factors of the losses as in `Draws`
DrawTimesteps = Callable[[PerSample], tuple[Timesteps, PerSample | None]]
Key = tuple[str | int, ...]  # all that the draws of a sample are a function of


def uniform_timesteps(num_timesteps: int) -> DrawTimesteps:
    """Each timestep as often as any other."""
    return lambda uniforms: ((uniforms * num_timesteps).long(), None)


def keys_of(batch: Batch, seed: int, step: int) -> list[Key]:
    """The key of each sample in training."""
    ids = zip(batch.epochs.tolist(), batch.sample_ids.tolist(), strict=True)
    return [(seed, step, epoch, sample_id) for epoch, sample_id in ids]


def draw(
    keys: Sequence[Key],
    shape: tuple[int, ...],
    timesteps: DrawTimesteps,
    caption_drop: float,
) -> Draws:
    """Noise, timestep and caption drop of each sample, a function of its key alone,
    as far as `timesteps` is one of its uniforms."""
    streams = [Stream("diffusion", *key) for key in keys]
    of_timestep, of_drop = uniform(np.stack([stream.words(2) for stream in streams], axis=1))
    timestep, weight = timesteps(of_timestep)
    return Draws(normals(streams, shape), timestep, (of_drop < caption_drop).tolist(), weight)
