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

    image_dropped: B times whether the picture's embedding is; None: there are no embeddings.
    weight: (B,) factors of the losses that undo how often each timestep is drawn; None: all 1.
    posterior: (B, C, H, W) noise by which x_0 is drawn from what a VAE says of a picture; None: x_0
        is not drawn.
    """

    eps: Tensor
    timestep: Tensor
    dropped: list[bool]
    weight: Tensor | None = None
    image_dropped: list[bool] | None = None
    posterior: Tensor | None = None

    def __getitem__(self, rows: slice) -> Draws:
        weight = None if self.weight is None else self.weight[rows]
        images = None if self.image_dropped is None else self.image_dropped[rows]
        posterior = None if self.posterior is None else self.posterior[rows]
        return Draws(
            self.eps[rows], self.timestep[rows], self.dropped[rows], weight, images, posterior
        )

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
    image_drop: float | None = None,
    posterior: bool = False,
) -> Draws:
    """Noise, timestep, caption drop and image drop of each sample, a function of its key alone,
    as far as `timesteps` is one of its uniforms.

    Args:
        image_drop: None where there are no embeddings of pictures to drop.
        posterior: whether x_0 is drawn, too.
    """
    streams = [Stream("diffusion", *key) for key in keys]
    of_timestep, of_drop = uniform(np.stack([stream.words(2) for stream in streams], axis=1))
    timestep, weight = timesteps(of_timestep)
    image_dropped = None
    if image_drop is not None:
        of_image = uniform(np.stack([Stream("image drop", *key).words(1)[0] for key in keys]))
        image_dropped = (of_image < image_drop).tolist()
    dropped = (of_drop < caption_drop).tolist()
    of_x_0 = normals([Stream("posterior", *key) for key in keys], shape) if posterior else None
    return Draws(normals(streams, shape), timestep, dropped, weight, image_dropped, of_x_0)
