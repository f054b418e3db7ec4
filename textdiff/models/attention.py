"""Attention of the image to itself and to the text.

    TransformerBlock:  x += attn1(norm1(x));  x += attn2(norm2(x), text);  x += ff(norm3(x))
    SpatialTransformer:  image + proj_out(blocks(proj_in(norm(image)))), pixels as tokens

Image and text are two attentions in turn, as in latent diffusion (LDM), where GLIDE concatenates
their keys: so the weights are those of diffusers' `Transformer2DModel`.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from textdiff.attention import attend
from textdiff.models.config import UNetConfig

KeysValues = tuple[Tensor, Tensor]  # (B, heads, L, head_dim) both


class Attention(nn.Module):
    """Multi-head attention from `dim` wide queries to `source_dim` wide keys and values.

    bias: whether queries, keys and values have one.
    """

    def __init__(self, dim: int, source_dim: int, head_dim: int, bias: bool = False) -> None:
        super().__init__()
        self.head_dim = head_dim
        self.to_q = nn.Linear(dim, dim, bias=bias)
        self.to_k = nn.Linear(source_dim, dim, bias=bias)
        self.to_v = nn.Linear(source_dim, dim, bias=bias)
        self.to_out = nn.Sequential(nn.Linear(dim, dim))

    def keys_values(self, source: TextSource) -> KeysValues:
        """(B, L, source_dim) -> two of (B, heads, L, head_dim). A text's serve every timestep:
        those made before are looked up."""
        if isinstance(source, dict):
            return source[self]
        return self._split(self.to_k(source)), self._split(self.to_v(source))

    def forward(
        self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None
    ) -> Tensor:
        """x: (B, N, dim) -> (B, N, dim)."""
        heads = attend(self._split(self.to_q(x)), keys, values, mask)
        return self.to_out(heads.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, self.head_dim)).transpose(1, 2)


TextSource = Tensor | dict[Attention, KeysValues]  # (B, L, D), or what each attention made of it


class GEGLU(nn.Module):
    """a * gelu(b), where a and b are halves of one projection (2002.05202)."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.proj = nn.Linear(dim, 2 * hidden)

    def forward(self, x: Tensor) -> Tensor:
        value, gate = self.proj(x).chunk(2, dim=-1)
        return value * F.gelu(gate)


class FeedForward(nn.Module):
    """Gated linear units, four times as wide as the block."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        # The empty place in the middle keeps diffusers' numbering, where dropout stands.
        self.net = nn.Sequential(GEGLU(dim, 4 * dim), nn.Identity(), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class TransformerBlock(nn.Module):
    """Self-attention, attention to the text, feed-forward; each normalised before, added after."""

    def __init__(self, dim: int, config: UNetConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim)
        self.attn1 = Attention(dim, dim, config.head_dim)
        self.norm2 = nn.LayerNorm(dim)
        self.attn2 = Attention(dim, config.cross_attention_dim, config.head_dim)
        self.norm3 = nn.LayerNorm(dim)
        self.ff = FeedForward(dim)

    def forward(self, x: Tensor, text: TextSource, text_mask: Tensor | None) -> Tensor:
        """x: (B, N, dim), text: (B, L, cross_attention_dim), text_mask: (B, 1, 1, L) bool."""
        normed = self.norm1(x)
        x = x + self.attn1(normed, *self.attn1.keys_values(normed))
        x = x + self.attn2(self.norm2(x), *self.attn2.keys_values(text), text_mask)
        return x + self.ff(self.norm3(x))


class SpatialTransformer(nn.Module):
    """Transformer blocks over the pixels of a feature map, added to it.

    `proj_out` starts as PyTorch's default, as in diffusers, not at zero as in latent diffusion:
    from zero, text that enters here alone is not looked at for a thousand steps and more.
    """

    def __init__(self, channels: int, config: UNetConfig) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(config.norm_groups, channels, eps=1e-6)
        self.proj_in = _projection(channels, config)
        self.transformer_blocks = nn.ModuleList(
            TransformerBlock(channels, config) for _ in range(config.transformer_layers)
        )
        self.proj_out = _projection(channels, config)

    def forward(self, image: Tensor, text: TextSource, text_mask: Tensor | None) -> Tensor:
        """image: (B, C, H, W) -> (B, C, H, W)."""
        tokens = _project(self.norm(image).flatten(2).transpose(1, 2), self.proj_in)
        for block in self.transformer_blocks:
            tokens = block(tokens, text, text_mask)
        change = _project(tokens, self.proj_out)
        return image + change.transpose(1, 2).reshape(image.shape)


def _projection(channels: int, config: UNetConfig) -> nn.Linear | nn.Conv2d:
    if config.linear_projection:
        return nn.Linear(channels, channels)
    return nn.Conv2d(channels, channels, kernel_size=1)


def _project(tokens: Tensor, layer: nn.Linear | nn.Conv2d) -> Tensor:
    """A 1x1 convolution is a linear layer on tokens; only the stored weight's shape differs."""
    return F.linear(tokens, layer.weight.flatten(1), layer.bias)
