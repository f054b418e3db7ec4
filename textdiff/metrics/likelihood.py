"""The bound of several images, kept term by term, so that it can be summed and resampled.

    total_i = prior_i + sum_k n_k L_{t_ik}        n_k timesteps in stratum k, t_ik image i's of them

With strata of one timestep each this is the bound itself, else an estimate without bias.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from textdiff.metrics.bootstrap import Estimate, estimate_means
from textdiff.randomness import Stream, normals
from textdiff.types import Images, PerSample, Timesteps


@dataclass(frozen=True)
class Bound:
    """Terms of n images in bits/dim, float64.

    prior: (n,) L_T.
    timesteps: (n, K) int64, the step of the chain in each stratum.
    terms: (n, K) L_t there.
    edges: (K + 1,) of the strata; see `diffusion.likelihood.strata`.
    """

    prior: PerSample
    timesteps: Tensor
    terms: Tensor
    edges: Tensor

    def between(self, low: int, high: int) -> PerSample:
        """The sum of L_t over low <= t < high, or its estimate, of each image (n,)."""
        inside = (self.timesteps >= low) & (self.timesteps < high)
        return (self.terms * self.edges.diff() * inside).sum(1)

    @property
    def total(self) -> PerSample:
        """The bound of each image (n,)."""
        return self.prior + self.between(0, int(self.edges[-1]))

    def term_means(self) -> list[Estimate]:
        """Mean of L_t over images in each stratum (K), with its interval."""
        return estimate_means(self.terms)


def noise_of(seed: int, identifiers: Sequence[str], like: Images) -> Callable[[Timesteps], Images]:
    """eps of named images as a function of their timesteps: the same in every batch and on every
    device, of the shape, type and device of `like` (B, C, H, W)."""

    def noise(timestep: Timesteps) -> Images:
        parts = zip(identifiers, timestep.tolist(), strict=True)
        streams = [Stream("likelihood", seed, *part) for part in parts]
        return normals(streams, tuple(like.shape[1:])).to(like)

    return noise


def uniforms_of(seed: int, identifiers: Sequence[str], count: int) -> Tensor:
    """(B, count) in [0, 1), float64, of named images."""
    streams = (Stream("stratified timesteps", seed, name) for name in identifiers)
    return torch.stack([stream.uniform(count) for stream in streams])
