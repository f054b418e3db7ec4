"""Embeddings as sequences of codes: principal components, each cut into buckets (unCLIP, 2.2).

    scores = (z - mean) components^T         components by falling eigenvalue of the covariance
    code_k = floor((score_k - low_k) / width_k), clamped to 0..B-1;  width_k = (high_k - low_k) / B
    z_hat  = centres components + mean       centre_k = low_k + (code_k + 1/2) width_k

low and high are the extremes of the training scores. The covariance divides by n - 1; the sign of a
component is such that its entry of largest magnitude is positive.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from textdiff.types import Features

Codes = Int[Tensor, "batch components"]  # 0..num_buckets-1
Scores = Float[Tensor, "batch components"]


@dataclass(frozen=True)
class PrincipalComponents:
    """mean: (E,). components: (E, E), a row each. eigenvalues: (E,), falling."""

    mean: Float[Tensor, " dim"]
    components: Float[Tensor, "dim dim"]
    eigenvalues: Float[Tensor, " dim"]

    def explained(self, count: int) -> float:
        """Share of the variance that lies in the first `count`."""
        return float(self.eigenvalues[:count].sum() / self.eigenvalues.sum())


def principal_components(embeddings: Features) -> PrincipalComponents:
    """Of embeddings (n, E), computed in float64.

    Raises:
        ValueError: fewer than two.
    """
    if len(embeddings) < 2:
        raise ValueError(f"principal components need two embeddings or more, got {len(embeddings)}")
    rows = embeddings.detach().double()
    mean = rows.mean(dim=0)
    centred = rows - mean
    eigenvalues, vectors = torch.linalg.eigh(centred.T @ centred / (len(rows) - 1))
    components = vectors.T.flip(0)
    largest = components.gather(1, components.abs().argmax(dim=1, keepdim=True))
    return PrincipalComponents(mean, components * largest.sign(), eigenvalues.flip(0).clamp(min=0))


class EmbeddingCodes(nn.Module):
    """`encode` and `decode`; encoding what was decoded gives the same codes. The tables are part of
    a network's weights, but are not trained."""

    def __init__(self, embed_dim: int, num_components: int, num_buckets: int) -> None:
        super().__init__()
        self.num_buckets = num_buckets

        def table(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.zeros(*shape), requires_grad=False)

        self.mean, self.components = table(embed_dim), table(num_components, embed_dim)
        self.low, self.high = table(num_components), table(num_components)

    @torch.no_grad()
    def fit(self, embeddings: Features) -> PrincipalComponents:
        """Fills the tables from training embeddings (n, E); returns all components.

        Raises:
            ValueError: fewer embeddings than components, or embeddings of fewer numbers.
        """
        count, most = len(self.components), min(embeddings.shape)
        if count > most:
            raise ValueError(
                f"{count} components of {len(embeddings)} embeddings of {embeddings.shape[1]} "
                f"numbers; there are {most} at most"
            )
        found = principal_components(embeddings)
        self.mean.copy_(found.mean)
        self.components.copy_(found.components[:count])
        scores = self.scores(embeddings.to(self.mean))
        self.low.copy_(scores.amin(dim=0))
        self.high.copy_(scores.amax(dim=0))
        return found

    def scores(self, embeddings: Features) -> Scores:
        """(B, E) -> (B, K)."""
        return (embeddings - self.mean) @ self.components.T

    def encode(self, embeddings: Features) -> Codes:
        """(B, E) -> (B, K) int64."""
        buckets = ((self.scores(embeddings) - self.low) / self._width).floor().long()
        return buckets.clamp(0, self.num_buckets - 1)

    def decode(self, codes: Codes) -> Features:
        """(B, K) -> (B, E), not of unit length."""
        centres = self.low + (codes + 0.5) * self._width
        return centres @ self.components + self.mean

    @property
    def _width(self) -> Float[Tensor, " components"]:
        """Above 0, also where all training scores are the same."""
        return ((self.high - self.low) / self.num_buckets).clamp(min=1e-12)
