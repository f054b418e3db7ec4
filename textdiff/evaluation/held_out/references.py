"""The real pictures that drawn ones should be close to."""

from __future__ import annotations

from collections.abc import Collection

import torch

from textdiff.data import CaptionedImages, EndlessOrder
from textdiff.errors import UsageError
from textdiff.types import Pictures


def reference_pictures(
    data: CaptionedImages, prompts: Collection[str], seed: int, limit: int
) -> Pictures:
    """Up to `limit` pictures of the split, in an order of the seed; none of a prompt's.

    Raises:
        UsageError: fewer than two are left. DataError: too many cannot be used.
    """
    _, order = EndlessOrder(len(data), seed).at(torch.arange(len(data)))
    excluded = set(prompts)
    free = [index for index in order.tolist() if data.captions[index][0] not in excluded]
    if len(free) < 2:
        raise UsageError(
            f"{data.name}, split {data.split}: {len(free)} pictures besides those of the "
            f"{len(prompts)} prompts, so nothing to be close to; give a smaller --num-prompts, or "
            "--reference-split"
        )
    _, images = data.usable(free[:limit])
    return images
