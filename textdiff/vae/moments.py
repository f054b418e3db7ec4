"""Mean and standard deviation of latents, one batch at a time, in one pass.

    of z ~ q(z|x), x over the data:  E[z] = E[mean],  Var[z] = Var[mean] + E[exp(logvar)]

by the law of total variance, so no noise is drawn. Parts are merged as in Chan, Golub & LeVeque
1979 (eq. 1.5), in float64: the order of pictures changes the last bits alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from textdiff.vae.posterior import Posterior

Channels = Float[Tensor, " channels"]


@dataclass(frozen=True)
class Moments:
    """Of so many numbers per channel, float64.

    squares: sum of squared differences from the mean. within: sum of the posteriors' variances.
    """

    count: int
    mean: Channels
    squares: Channels
    within: Channels

    @staticmethod
    def of(posterior: Posterior) -> Moments:
        """Of all places of a batch (B, C, ...)."""
        means = posterior.mean.detach().cpu().double().transpose(0, 1).flatten(1)
        variances = posterior.logvar.detach().cpu().double().exp().transpose(0, 1).flatten(1)
        mean = means.mean(1)
        squares = (means - mean[:, None]).square().sum(1)
        return Moments(means.shape[1], mean, squares, variances.sum(1))

    def merged(self, other: Moments) -> Moments:
        """Of the numbers of both."""
        count = self.count + other.count
        step = other.mean - self.mean
        return Moments(
            count,
            self.mean + step * (other.count / count),
            self.squares + other.squares + step.square() * (self.count * other.count / count),
            self.within + other.within,
        )

    @staticmethod
    def merge(parts: Iterable[Moments]) -> Moments:
        """Of all parts, in their order. Raises StopIteration without any."""
        parts = iter(parts)
        merged = next(parts)
        for part in parts:
            merged = merged.merged(part)
        return merged

    @property
    def std(self) -> Channels:
        """Of z, divisor n - 1 for the means (SPEC S9.4)."""
        variance = self.squares / max(1, self.count - 1) + self.within / self.count
        return variance.sqrt()

    def as_row(self) -> list[float]:
        """To be sent between processes."""
        return [
            float(self.count),
            *self.mean.tolist(),
            *self.squares.tolist(),
            *self.within.tolist(),
        ]

    @staticmethod
    def from_row(row: list[float]) -> Moments:
        """Undoes `as_row`."""
        mean, squares, within = torch.tensor(row[1:], dtype=torch.float64).chunk(3)
        return Moments(int(row[0]), mean, squares, within)
