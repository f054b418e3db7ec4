"""Metrics of other projects, written out where they come in no package: what theirs
computes, operation by operation, with what it holds in memory.

    recall_of_clip_benchmark   LAION-AI/CLIP_benchmark, clip_benchmark/metrics/zeroshot_retrieval.py
    cmmd_of_reference          google-research, cmmd/distance.py, in torch where that has JAX
    accuracy_of_open_clip      open_clip_train.zero_shot.accuracy, which stops with numpy 2.4
    kid_of_torchmetrics        torchmetrics, given features in place of pictures

open_clip's retrieval comes with its package: open_clip_train.train.get_clip_metrics.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Retrieval


def recall_of_clip_benchmark(
    images: Tensor,
    texts: Tensor,
    image_of_text: Tensor,
    at: Sequence[int] = (1, 5, 10),
    batch_size: int = 64,
) -> dict[str, float]:
    """Share of queries with a right candidate among the first k, of unit features; both ways.

    image_of_text: (m,) the image of each text. batch_size: queries at once, 64 by its default.
    """
    scores = texts @ images.T
    right = torch.zeros_like(scores, dtype=torch.bool)
    right[torch.arange(len(texts)), image_of_text] = True
    found = {}
    for k in at:
        found[f"image_to_text R@{k}"] = _share_with_hits(scores.T, right.T, k, batch_size)
        found[f"text_to_image R@{k}"] = _share_with_hits(scores, right, k, batch_size)
    return found


def _share_with_hits(scores: Tensor, right: Tensor, k: int, batch_size: int) -> float:
    recalls = []
    for part, right_ones in zip(scores.split(batch_size), right.split(batch_size), strict=True):
        best = F.one_hot(part.topk(k, dim=1).indices, part.shape[1])  # (queries, k, candidates)
        hits = (best * right_ones[:, None]).sum(dim=(1, 2))
        recalls.append(hits / right_ones.sum(dim=1))
    return (torch.cat(recalls) > 0).float().mean().item()


# Classification


def accuracy_of_open_clip(logits: Tensor, labels: Tensor, at: Sequence[int] = (1,)) -> list[int]:
    """How many of the n labels are among the k classes of the largest logits (n, C)."""
    best = logits.topk(max(at), dim=1).indices
    right = best == labels[:, None]
    return [int(right[:, :k].sum()) for k in at]


# Distances


def cmmd_of_reference(x: Tensor, y: Tensor) -> float:
    """Of unit features; squared lengths are read off a whole product, as there."""
    lengths_x, lengths_y = ((each @ each.T).diagonal() for each in (x, y))
    within = _mean_gaussian(x, x, lengths_x, lengths_x) + _mean_gaussian(y, y, lengths_y, lengths_y)
    return 1000 * (within - 2 * _mean_gaussian(x, y, lengths_x, lengths_y)).item()


def _mean_gaussian(a: Tensor, b: Tensor, of_a: Tensor, of_b: Tensor, sigma: float = 10) -> Tensor:
    squared = -2 * (a @ b.T) + of_a[:, None] + of_b
    return torch.exp(-squared / (2 * sigma**2)).mean()


class AsTheyAre(nn.Module):
    """In place of the Inception network: what it is given are the features, (n, dim)."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.num_features = dim

    def forward(self, features: Tensor) -> Tensor:
        return features


def kid_of_torchmetrics(x: Tensor, y: Tensor, **subsets: int):
    """A KernelInceptionDistance that has seen x (n, D) drawn and y (m, D) real, to be computed.

    subsets: `subsets` and `subset_size`.
    """
    from torchmetrics.image.kid import KernelInceptionDistance

    metric = KernelInceptionDistance(feature=AsTheyAre(x.shape[1]), **subsets)
    metric.update(y, real=True)
    metric.update(x, real=False)
    return metric
