"""CLIP's contrastive loss (Radford et al., arXiv 2103.00020, figure 3) and SigLIP's.

    L    = exp(t) I X^T                          (N, N) logits; unit rows I, X (N, D)
    loss = (CE(L, labels) + CE(L^T, labels)) / 2,        labels = 0..N-1, batch means
         = mean_i (r_i + c_i) / 2 - L_ii         r, c: log sum exp of L's rows and columns

With P, Q the softmax of L over rows and over columns, G = (P + Q - 2 Id) / (2N):

    grad_I = exp(t) G X        grad_X = exp(t) G^T I        grad_t = sum(G * L)

A large L is never held whole, but computed in tiles, anew in each pass: see `two_way_logsumexp`.
Where W processes share a batch, each computes the rows of L of its own n images, 1/W of all:

    own images, all texts ──► r of its rows, its part of every c ──► c over ranks ──► loss

Texts and N column sums are exchanged in the forward pass, the texts' gradients in the backward
pass. Loss and gradients, averaged over ranks by DDP, are those of one process with the whole batch:
see `ranks`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from textdiff.clip.contrastive.pairwise_sigmoid import pairwise_sigmoid
from textdiff.clip.contrastive.ranks import Ranks
from textdiff.clip.contrastive.two_way_logsumexp import two_way_logsumexp
from textdiff.types import Features

# Measured at D = 512: tiles of 1024 are up to 5% faster than 512 and take four times the memory.
# Keeping the logits saves a fifth of the time at every size; the limit is one of memory, 64 MiB.
TILE_SIZE = 512
# A GPU is done with a tile of 512 before Python has launched the next one's kernels.
GPU_TILE_SIZE = 4096
DENSE_LOGITS = 4096 * 4096


def contrastive_loss(
    image_features: Features,
    text_features: Features,
    logit_scale: Tensor,
    gather: bool | None = None,
    *,
    local: bool = False,
    tile_size: int | None = None,
    dense_logits: int = DENSE_LOGITS,
) -> Tensor:
    """Symmetric cross-entropy of matching pairs, a scalar in float32 (float64 for such features).

    Args:
        image_features, text_features: (n, D) unit rows; row i of one belongs to row i of the other.
        logit_scale: scalar exp(t), not its logarithm t.
        gather: the loss of the pairs of all processes, for use under DDP, which averages gradients
            over ranks; n may differ between processes. None: if torch.distributed is initialised.
        local: the loss of this rank's rows and columns of L alone, with the features of other ranks
            as constants (open_clip's `local_loss` without `gather_with_grad`). The mean over ranks
            is the loss of the whole batch. Its gradient lacks the part that comes from the losses
            of other ranks, and that part need not be exchanged. One process alone has the whole
            loss, and its whole gradient.
        tile_size: side of a tile of logits; None: what is fast on the device. Beside gradients and
            kept logits, memory is that of about four tiles.
        dense_logits: a rank that has up to this many logits keeps them for the backward pass, which
            is faster; 0: never.

    Raises:
        ValueError: numbers of images and texts, or their lengths, differ.
    """
    _check_pairs(image_features, text_features)
    ranks = Ranks.sharing(image_features, gather)
    limits = (ranks.own.start, tile_size or fast_tile(image_features.device), dense_logits)
    # Under autocast to bfloat16 a logit near 100 would be off by up to 0.25.
    with torch.autocast(image_features.device.type, enabled=False):
        images, texts, scale = _exact(image_features, text_features, logit_scale)
        if local and len(ranks.sizes) > 1:  # alone, there are no other ranks' losses
            all_images, all_texts = ranks.gather(images.detach()), ranks.gather(texts.detach())
            rows, _, matching = two_way_logsumexp(images, all_texts, scale, *limits)
            columns, _, same = two_way_logsumexp(texts, all_images, scale, *limits)
            share = ((rows - matching) + (columns - same)).sum() / 2
            return share * len(ranks.sizes) / ranks.total
        rows, columns, matching = two_way_logsumexp(images, ranks.gather(texts), scale, *limits)
        columns = ranks.logsumexp(columns)[ranks.own]
        return ranks.sum(((rows + columns) / 2 - matching).sum()) / ranks.total


def sigmoid_loss(
    image_features: Features,
    text_features: Features,
    logit_scale: Tensor,
    logit_bias: Tensor,
    gather: bool | None = None,
    *,
    tile_size: int | None = None,
) -> Tensor:
    """SigLIP's loss: each pair is classified as a match or not; sum over texts, mean over images.

    Args:
        logit_bias: scalar, added to all logits; -10 to start with, beside a scale of 10.
        others: as `contrastive_loss`.

    Raises:
        ValueError: as `contrastive_loss`.
    """
    _check_pairs(image_features, text_features)
    ranks = Ranks.sharing(image_features, gather)
    with torch.autocast(image_features.device.type, enabled=False):
        images, texts, scale, bias = _exact(image_features, text_features, logit_scale, logit_bias)
        rows = pairwise_sigmoid(
            images,
            ranks.gather(texts),
            scale,
            bias,
            ranks.own.start,
            tile_size or fast_tile(images.device),
        )
        return ranks.sum(rows.sum()) / ranks.total


def fast_tile(device: torch.device) -> int:
    """The side of a tile where none is given."""
    return GPU_TILE_SIZE if device.type == "cuda" else TILE_SIZE


def _exact(*tensors: Tensor) -> list[Tensor]:
    """All in the wider precision of the first two, float32 at least."""
    dtype = torch.float32
    for tensor in tensors[:2]:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return [tensor.to(dtype) for tensor in tensors]


def _check_pairs(image_features: Features, text_features: Features) -> None:
    if image_features.shape != text_features.shape:
        raise ValueError(
            f"image features {tuple(image_features.shape)} and text features "
            f"{tuple(text_features.shape)} must have one shape"
        )
