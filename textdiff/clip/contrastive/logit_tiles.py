"""Logits L = scale * I X^T tile by tile, and what flows back through them.

With G = d loss / d L, and I (n, D), X (N, D):

    grad_I = scale * G X        grad_X = scale * G^T I        grad_scale = sum(I * (G X))

A tile of L, n' x N', costs n' N' D multiply-adds, what flows back through it twice that. Memory is
that of the two gradients and a few tiles, unless L itself is asked to be kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from textdiff.types import Features

SUMMED_ROWS = 512  # of a gradient at a time, for that of the scale

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
    """Tiles of L up to size x size, row after row; where L is not kept, each overwrites the one
    before.

    Args:
        kept: L itself, (n, N), to be filled; None or (0, N): it is not kept.
        again: `kept`, if it holds L, is full, and no tile is computed.
    """
    is_kept = kept is not None and len(kept) > 0
    memory = images.new_empty(0 if is_kept else min(size, len(images)) * min(size, len(texts)))
    for rows in blocks(len(images), size):
        scaled = None if is_kept and again else images[rows] * scale
        for columns in blocks(len(texts), size):
            shape = rows.stop - rows.start, columns.stop - columns.start
            logits = kept[rows, columns] if is_kept else memory[: shape[0] * shape[1]].view(shape)
            if scaled is not None:
                torch.mm(scaled, texts[columns].T, out=logits)
            yield rows, columns, logits


def rows_kept(images: Features, texts: Features, most: int) -> int:
    """All of L's, or none where that would be more than `most` logits: a part would save a few
    percent of the time, and cost more memory than everything else together."""
    return len(images) if len(images) * len(texts) <= most else 0


def diagonal(tile: Tile, first: int) -> tuple[slice, Tensor]:
    """The entries [i, first + i] that lie in a tile: the slice of i, maybe empty, and a view."""
    rows, columns, values = tile
    offset = first + rows.start - columns.start
    if not -values.shape[0] < offset < values.shape[1]:
        return slice(0, 0), values.new_empty(0)
    found = values.diagonal(offset)
    start = rows.start + max(0, -offset)
    return slice(start, start + len(found)), found


def pull_back(
    images: Features,
    texts: Features,
    scale: Tensor,
    weights: Iterable[Tile],
    needed: tuple[bool, bool, bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """Gradients of images, texts and scale, those `needed`; `weights` are the tiles of G."""
    for_images = torch.zeros_like(images) if needed[0] or needed[2] else None
    for_texts = torch.zeros_like(texts) if needed[1] else None
    for rows, columns, weight in weights:
        if for_images is not None:
            for_images[rows].addmm_(weight, texts[columns])
        if for_texts is not None:
            for_texts[columns].addmm_(weight.T, images[rows])
    for_scale = None
    if needed[2]:
        for_scale = torch.zeros_like(scale)
        for rows in blocks(len(images), SUMMED_ROWS):
            for_scale += (for_images[rows] * images[rows]).sum()
    return (
        for_images.mul_(scale) if needed[0] else None,
        for_texts.mul_(scale) if needed[1] else None,
        for_scale,
    )
