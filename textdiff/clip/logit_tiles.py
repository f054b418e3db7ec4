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


def tiles(logits: Tensor, size: int) -> Iterator[Tile]:
    """Views of a matrix, up to size x size each, row after row."""
    for rows in blocks(logits.shape[0], size):
        for columns in blocks(logits.shape[1], size):
            yield rows, columns, logits[rows, columns]


def logit_tiles(
    images: Features, texts: Features, scale: Tensor, size: int, kept: Tensor | None = None
) -> Iterator[Tile]:
    """Tiles of L in the order of `tiles`, each overwriting the one before.

    Args:
        kept: (n, N), filled with L instead.
    """
    if kept is None:
        memory = images.new_empty(min(size, len(images)) * min(size, len(texts)))
    for rows in blocks(len(images), size):
        scaled = images[rows] * scale
        for columns in blocks(len(texts), size):
            if kept is None:
                shape = rows.stop - rows.start, columns.stop - columns.start
                logits = memory[: shape[0] * shape[1]].view(shape)
            else:
                logits = kept[rows, columns]
            yield rows, columns, torch.mm(scaled, texts[columns].T, out=logits)


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
