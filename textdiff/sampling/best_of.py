"""Which of several candidates is nearest to its text (unCLIP, section 2.2).

chosen = argmax_j z_j . z_t          the first of equals
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textdiff.types import Features

Candidates = Float[Tensor, "batch candidates dim"]


def dot_products(candidates: Candidates, text: Features) -> Float[Tensor, "batch candidates"]:
    """z_j . z_t of each candidate (B, n, E) with its text (B, E)."""
    return torch.einsum("bnd,bd->bn", candidates, text)


def nearest_to_text(candidates: Candidates, text: Features) -> Int[Tensor, " batch"]:
    """Number of the candidate with the largest dot product, (B,) int64."""
    return dot_products(candidates, text).argmax(dim=1)


def best_of(candidates: Candidates, text: Features) -> Features:
    """These candidates, (B, E)."""
    return candidates[torch.arange(len(candidates)), nearest_to_text(candidates, text)]
