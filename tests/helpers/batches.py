"""Batches for training tasks: random pictures of 16x16 with two captions in turn."""

from __future__ import annotations

import torch

from textdiff.types import Batch

CAPTIONS = ["red circle", "green cross"]


def batch_of(image: torch.Tensor) -> Batch:
    count = len(image)
    return Batch(
        image=image,
        captions=(CAPTIONS * count)[:count],
        sample_ids=torch.arange(count),
        epochs=torch.zeros(count, dtype=torch.int64),
    )


def noise(count: int) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, 16, 16), dtype=torch.uint8, generator=rng)
