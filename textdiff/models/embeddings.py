"""The timestep's sinusoids through two layers: TimestepEmbedding(e) = W_2 silu(W_1 e)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class TimestepEmbedding(nn.Module):
    """Two linear layers on the sinusoids: (B, in_dim) -> (B, out_dim)."""

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(in_dim, out_dim)
        self.linear_2 = nn.Linear(out_dim, out_dim)

    def forward(self, sinusoids: Tensor) -> Tensor:
        return self.linear_2(F.silu(self.linear_1(sinusoids)))
