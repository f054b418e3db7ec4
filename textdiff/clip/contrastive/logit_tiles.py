"""Logits L = scale * I X^T tile by tile, and the gradients through them.

With G = d loss / d L, and I (n, D), X (N, D):

    grad_I = scale * G X        grad_X = scale * G^T I        grad_scale = sum(I * (G X))

A tile of L, n' x N', costs n' N' D multiply-adds, its gradients twice that. Memory is that of the
two gradients and a few tiles, and of L itself where the caller keeps it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from textdiff.types import Features

SUMMED_ROWS = 512  # rows of grad_I summed at a time for grad_scale

Tile = tuple[slice, slice, Tensor]  # rows, columns, and the values there


def blocks(length: int, size: int) -> Iterator[slice]:
    """0..length in slices of `size`; the last may be shorter."""
    for start in range(0, length, size):
        yield slice(start, min(start + size, length))


def logit_tiles(
    images: Features,
    texts: Features,
    scale: Tensor,
    size: int,
    kept: Tensor | None = None,
    again: bool = False,
) -> Iterator[Tile]:
    """Tiles of L up to size x size, one row of tiles after the other.

    Args:
        kept: memory for L, (n, N), that the tiles are views of. None or (0, N): L is not kept, and
            each tile overwrites the one before.
        again: second pass. Tiles of a kept L are not computed anew.
    """
    stored = kept if kept is not None and len(kept) else None
    reused = 0 if stored is not None else min(size, len(images)) * min(size, len(texts))
    memory = images.new_empty(reused)
    for rows in blocks(len(images), size):
        scaled = None if stored is not None and again else images[rows] * scale
        for columns in blocks(len(texts), size):
            shape = rows.stop - rows.start, columns.stop - columns.start
            if stored is not None:
                logits = stored[rows, columns]
            else:
                logits = memory[: shape[0] * shape[1]].view(shape)
            if scaled is not None:
                torch.mm(scaled, texts[columns].T, out=logits)
            yield rows, columns, logits


def rows_kept(images: Features, texts: Features, most: int) -> int:
    """How many rows of L to keep: all, or none where L has more than `most` logits.

    Keeping a part would save a few percent of the time, and cost more memory than all the rest.
    """
    return len(images) if len(images) * len(texts) <= most else 0


def diagonal(tile: Tile, first: int) -> tuple[slice, Tensor]:
    """The entries [i, first + i] of L that lie in a tile: the slice of i, which may be empty, and
    a view of their values."""
    rows, columns, values = tile
    offset = first + rows.start - columns.start
    if not -values.shape[0] < offset < values.shape[1]:
        return slice(0, 0), values.new_empty(0)
    entries = values.diagonal(offset)
    start = rows.start + max(0, -offset)
    return slice(start, start + len(entries)), entries


def pull_back(
    images: Features,
    texts: Features,
    scale: Tensor,
    weights: Iterable[Tile],
    needed: tuple[bool, bool, bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Gradients of images, texts and scale.

    Args:
        weights: the tiles of G.
        needed: which of the three gradients to compute; the others are None.
    """
    for_images = torch.zeros_like(images) if needed[0] or needed[2] else None
    for_texts = torch.zeros_like(texts) if needed[1] else None
    for rows, columns, weight in weights:
        if for_images is not None:
            for_images[rows].addmm_(weight, texts[columns])
        if for_texts is not None:
            for_texts[columns].addmm_(weight.T, images[rows])
    for_scale = torch.zeros_like(scale) if needed[2] else None
    if for_images is not None:
        if for_scale is not None:
            for rows in blocks(len(images), SUMMED_ROWS):
                for_scale += (for_images[rows] * images[rows]).sum()
        for_images.mul_(scale)
    if for_texts is not None:
        for_texts.mul_(scale)
    return for_images if needed[0] else None, for_texts, for_scale
