"""Unit features in pairs, and a loss with its gradients."""

from __future__ import annotations

import torch
import torch.nn.functional as F


def unit_features(rows: int, dim: int, seed: int, dtype=torch.float64) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(rows, dim, generator=rng, dtype=torch.float64), dim=1).to(dtype)


def pairs(rows: int, dim: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of images, and of texts close to theirs, as after some training."""
    images = unit_features(rows, dim, seed)
    return images, F.normalize(images + 0.7 * unit_features(rows, dim, seed + 1), dim=1)


def value_and_gradients(loss, *inputs: torch.Tensor, **options) -> list[torch.Tensor]:
    leaves = [x.detach().clone().requires_grad_() for x in inputs]
    value = loss(*leaves, **options)
    value.backward()
    return [value.detach(), *(leaf.grad for leaf in leaves)]
