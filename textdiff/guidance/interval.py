"""Guidance in an interval of noise levels only (Kynkaanniemi et al., arXiv 2404.07724).

    guidance_scale(t) = guidance_scale where low <= t <= high, else 1.0

The paper's interval is one of noise levels sigma = sqrt((1 - ac) / ac); here it is given in
timesteps, both ends inclusive. `only_at` takes any timesteps, such as every second of a grid.
"""

from __future__ import annotations

from collections.abc import Container

from textdiff.timesteps import single_timestep
from textdiff.types import Denoise, Prediction, Samples, Timesteps


def interval(
    inside: Denoise,
    outside: Denoise,
    low: int,
    high: int,
) -> Denoise:
    """`inside`, which guides, at timesteps low..high, and `outside`, which need not run the network
    twice, elsewhere."""
    return only_at(inside, outside, range(low, high + 1))


def only_at(
    inside: Denoise,
    outside: Denoise,
    timesteps: Container[int],
) -> Denoise:
    """`inside` at these timesteps and `outside` at all others. All rows of a batch share their
    timestep, as they do in sampling."""

    def chosen(x_t: Samples, timestep: Timesteps) -> Prediction:
        return (inside if single_timestep(timestep) in timesteps else outside)(x_t, timestep)

    return chosen
