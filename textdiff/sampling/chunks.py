"""A denoiser of more samples than a network should see at once: one denoiser per chunk of rows."""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Int
from torch import Tensor

from textdiff.timesteps import known_timestep, mark_shared
from textdiff.types import Denoise, Prediction, Samples, Timesteps


def in_chunks(count: int, size: int, denoiser: Callable[[slice], Denoise]) -> Denoise:
    """Of `count` samples, at most `size` of them at once.

    Args:
        denoiser: makes that of these rows, once.
    """
    chunks = [slice(start, min(start + size, count)) for start in range(0, count, size)]
    parts = [(rows, denoiser(rows)) for rows in chunks]
    if len(parts) == 1:
        return parts[0][1]

    def denoise(x_t: Samples, timestep: Timesteps) -> Prediction:
        return Prediction.cat([part(x_t[rows], _of_rows(timestep, rows)) for rows, part in parts])

    return denoise


def _of_rows(timestep: Timesteps, rows: slice) -> Int[Tensor, " rows"]:
    """Still known without asking a GPU, if it was."""
    known = known_timestep(timestep)
    return timestep[rows] if known is None else mark_shared(timestep[rows], known)
