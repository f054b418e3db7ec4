"""Pictures moved by a few pixels: each one's own offset is f(seed, step, epoch, sample id)."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from textdiff.randomness import Stream
from textdiff.types import Batch, Pictures


def shift_pictures(batch: Batch, max_shift: int, seed: int, step: int) -> Pictures:
    """The batch's pictures, each moved by up to `max_shift` pixels each way, borders repeated."""
    if not max_shift:
        return batch.image
    side = batch.image.shape[-1]
    padded = F.pad(batch.image.float(), [max_shift] * 4, mode="replicate").to(torch.uint8)
    ids = zip(batch.epochs.tolist(), batch.sample_ids.tolist(), strict=True)
    shifted = []
    for picture, (epoch, sample_id) in zip(padded, ids, strict=True):
        stream = Stream("shift", seed, step, epoch, sample_id)
        y, x = stream.integers(2 * max_shift + 1, 2).tolist()
        shifted.append(picture[:, y : y + side, x : x + side])
    return torch.stack(shifted)
