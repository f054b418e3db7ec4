"""Timesteps drawn as often as their terms of the bound are large (IDDPM, arXiv 2102.09672, eq. 18).

    L_vlb = E_{t ~ p} [L_t / p_t],     p_t proportional to sqrt(E[L_t^2])

The expectation is over the last few values of each bucket of timesteps; draws are uniform until
every bucket has them. IDDPM's buckets hold one timestep each; a short run fills fewer, larger ones.
"""

from __future__ import annotations

import torch
from torch import Tensor

from textdiff.types import PerSample, Timesteps

UNIFORM_SHARE = 0.001  # keeps every p_t above 0


class ImportanceTimesteps:
    """Remembers terms of the bound and draws timesteps by them.

    Args:
        num_timesteps: T.
        buckets: groups of neighbouring timesteps, at most T.
        history: terms remembered per bucket.
    """

    def __init__(self, num_timesteps: int, buckets: int, history: int = 10):
        buckets = min(buckets, num_timesteps)
        self.num_timesteps = num_timesteps
        self.starts = torch.arange(buckets + 1) * num_timesteps // buckets
        self.terms = torch.zeros(buckets, history, dtype=torch.float64)
        self.counts = torch.zeros(buckets, dtype=torch.int64)

    def state(self) -> dict[str, Tensor]:
        """What a resumed run has to restore, in place."""
        return {"terms": self.terms, "counts": self.counts}

    def probabilities(self) -> Tensor:
        """Of the buckets, (buckets,) float64."""
        sizes = self.starts.diff().double()
        uniform = sizes / self.num_timesteps
        if (self.counts < self.terms.shape[1]).any():
            return uniform
        weights = sizes * self.terms.square().mean(1).sqrt()
        return (1 - UNIFORM_SHARE) * weights / weights.sum() + UNIFORM_SHARE * uniform

    def draw(self, uniforms: Tensor) -> tuple[Timesteps, PerSample]:
        """Timesteps (B,) by inverse CDF from uniforms (B,) in [0, 1), and 1 / (T p_t) (B,), the
        factors that make an average over them that of uniform draws."""
        p = self.probabilities()
        ends = p.cumsum(0)
        bucket = torch.searchsorted(ends, uniforms.double(), right=True).clamp(max=len(p) - 1)
        sizes = self.starts.diff()[bucket]
        within = (uniforms.double() - (ends - p)[bucket]) / p[bucket]
        offset = (within * sizes).long().clamp(min=0).minimum(sizes - 1)
        return self.starts[bucket] + offset, sizes / (self.num_timesteps * p[bucket])

    def update(self, timestep: Timesteps, terms: PerSample) -> None:
        """Remembers L_t of these timesteps, the newest in place of the oldest."""
        buckets = torch.searchsorted(self.starts, timestep.cpu(), right=True) - 1
        for bucket, term in zip(buckets.tolist(), terms.cpu().double().tolist(), strict=True):
            self.terms[bucket, int(self.counts[bucket]) % self.terms.shape[1]] = term
            self.counts[bucket] += 1
