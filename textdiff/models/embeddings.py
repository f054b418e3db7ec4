"""What enters a U-Net beside x_t and the text: the timestep, and a picture's CLIP embedding.

    TimestepEmbedding(e) = W_2 silu(W_1 e)              e: sinusoids of the timestep
    ImageEmbedding(z_i)  = (W_t z_i, W_1 z_i ... W_4 z_i)      added to it; four more tokens of text

The second is unCLIP's decoder (Ramesh et al., arXiv 2204.06125, section 2.1).
"""

from __future__ import annotations

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from textdiff.types import Features


class TimestepEmbedding(nn.Module):
    """Two linear layers on the sinusoids: (B, in_dim) -> (B, out_dim)."""

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(in_dim, out_dim)
        self.linear_2 = nn.Linear(out_dim, out_dim)

    def forward(self, sinusoids: Tensor) -> Tensor:
        return self.linear_2(F.silu(self.linear_1(sinusoids)))


class ImageEmbedding(nn.Module):
    """Projections of z_i (B, E), of norm sqrt(E): for the timestep's embedding and as four tokens.

    0 stands for "no picture is known" (as in the paper's classifier-free guidance): what is left
    then are the biases, which are learned.
    """

    NUM_TOKENS = 4

    def __init__(self, image_dim: int, time_dim: int, token_dim: int) -> None:
        super().__init__()
        self.to_time = nn.Linear(image_dim, time_dim)
        self.to_tokens = nn.Linear(image_dim, self.NUM_TOKENS * token_dim)

    def time(self, image: Features) -> Float[Tensor, "batch time_dim"]:
        """(B, time_dim)."""
        return self.to_time(image.to(self.to_time.weight.dtype))

    def tokens(self, image: Features) -> Float[Tensor, "batch 4 token_dim"]:
        """(B, 4, token_dim)."""
        tokens = self.to_tokens(image.to(self.to_tokens.weight.dtype))
        return tokens.unflatten(1, (self.NUM_TOKENS, -1))
