"""CLIP's contrastive loss (Radford et al., arXiv 2103.00020, figure 3).

    L    = exp(t) I X^T                          (n, n) logits; unit rows I, X (n, D)
    loss = (CE(L, labels) + CE(L^T, labels)) / 2,        labels = 0..n-1, batch means

With P, Q the softmax of L over rows and over columns, G = (P + Q - 2 Id) / (2n):

    grad_I = exp(t) G X        grad_X = exp(t) G^T I        grad_t = sum(G * L)

With W processes that hold n/W pairs each, every process gathers all features and computes the
loss of the whole batch. Let g_r = d loss / d (features of rank r) and J_r the Jacobian of those
features with respect to the parameters theta. One process with the whole batch has

    d loss / d theta = sum_r J_r^T g_r = mean_r J_r^T (W g_r)

and the mean over ranks is what DDP takes of the gradients; so `gather_features` hands back W g_r.
No communication is needed for it: each rank knows g_r, since each computes the same loss. The
scale needs no factor: each rank has the whole d loss / d t, and their mean is the same number.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

from textdiff.types import Features


def contrastive_loss(
    image_features: Features,
    text_features: Features,
    logit_scale: Tensor,
    gather: bool | None = None,
) -> Tensor:
    """Symmetric cross-entropy of matching pairs, a scalar.

    Args:
        image_features, text_features: (B, D) unit rows; row i of one belongs to row i of the other.
        logit_scale: scalar exp(t), not its logarithm t.
        gather: over the pairs of all processes, as described above, for use under DDP, which
            averages gradients over ranks. None: whenever torch.distributed is initialised.

    Raises:
        ValueError: numbers of images and texts, or batch sizes of two processes, differ.
    """
    if image_features.shape != text_features.shape:
        raise ValueError(
            f"image features {tuple(image_features.shape)} and text features "
            f"{tuple(text_features.shape)} must have one shape"
        )
    if gather is None:
        gather = dist.is_available() and dist.is_initialized()
    if gather:
        image_features, text_features = map(gather_features, (image_features, text_features))
    # Under autocast to bfloat16 a logit near 100 would be off by up to 0.25.
    with torch.autocast(image_features.device.type, enabled=False):
        dtype = torch.promote_types(image_features.dtype, torch.float32)
        logits = logit_scale.to(dtype) * image_features.to(dtype) @ text_features.to(dtype).T
        labels = torch.arange(len(logits), device=logits.device)
        return (F.cross_entropy(logits, labels) + F.cross_entropy(logits.T, labels)) / 2


def gather_features(features: Features) -> Features:
    """Features (B, D) of all W ranks, in rank order: (W B, D).

    Contract: what is computed from the result is the same on every rank, and the parameters'
    gradients are averaged over ranks afterwards. Then the backward pass, which returns W times the
    gradient of the own rows, makes them those of one process with the whole batch.

    Raises:
        ValueError: B differs between ranks.
    """
    own = torch.tensor([len(features)], device=features.device)
    sizes = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(sizes, own)
    if len({int(size) for size in sizes}) > 1:
        raise ValueError(
            f"every process needs the same batch size, got {[int(size) for size in sizes]} "
            "by rank: drop the last incomplete batch"
        )
    return _Gather.apply(features)


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx, features: Tensor) -> Tensor:
        gathered = [torch.empty_like(features) for _ in range(dist.get_world_size())]
        dist.all_gather(gathered, features.contiguous())
        return torch.cat(gathered)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:
        return dist.get_world_size() * grad.chunk(dist.get_world_size())[dist.get_rank()]
