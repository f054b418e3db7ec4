"""Statistics of a VAE's latents over a split, one chunk of pictures at a time, by one process or
many: a chunk is encoded by one of them, and all are merged in the order of the chunks, so that the
number of processes changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from textdiff.data.base import CaptionedImages
from textdiff.data.order import EndlessOrder
from textdiff.errors import DataError
from textdiff.pictures import to_float
from textdiff.vae.model import Vae
from textdiff.vae.moments import Moments
from textdiff.vae.statistics import LatentStatistics

CHUNK = 64  # pictures at a time

Rows = list[list[float]]


def measure_latents(
    vae: Vae,
    data: CaptionedImages,
    limit: int | None = None,
    *,
    seed: int = 0,
    rank: int = 0,
    world_size: int = 1,
    gather: Callable[[Rows], Rows] = lambda rows: rows,
) -> LatentStatistics:
    """Mean and standard deviation per channel of z ~ q(z|x), x over the pictures.

    Args:
        limit: look at so many pictures, from all over the split by `seed`; None: at all.
        rank, world_size: which process of how many this is, all of which call it.
        gather: from the rows of one process to those of all.

    Raises:
        DataError: no picture that can be used, or too many that cannot.
    """
    rows: Rows = []
    for number, chunk in enumerate(_ids(len(data), limit, seed).split(CHUNK)):
        if number % world_size == rank:
            used, pictures = data.usable(chunk.tolist())
            if used:
                with torch.no_grad():
                    moments = Moments.of(vae.moments(to_float(pictures)))
                rows.append([float(number), float(len(used)), *moments.as_row()])
    rows = sorted(gather(rows))
    if not rows:
        raise DataError(f"{data.title}: no picture to measure latents on")
    merged = Moments.merge(Moments.from_row(row[2:]) for row in rows)
    return LatentStatistics(
        merged.mean.float(),
        merged.std.float(),
        count=int(sum(row[1] for row in rows)),
        data=data.title,
        vae=vae.identity,
        image_size=data.image_size,
    )


def _ids(count: int, limit: int | None, seed: int) -> Tensor:
    """Of all pictures, or of some from all over them, ascending."""
    if limit is None or limit >= count:
        return torch.arange(count)
    _, ids = EndlessOrder(count, seed).at(torch.arange(limit))
    return ids.sort().values
