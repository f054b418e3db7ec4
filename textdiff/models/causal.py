"""A transformer in which a token sees itself and those before it.

    x += attn1(norm1(x));  x += ff(norm3(x))         in each block

What stands first, such as a caption, does not see what follows, so it is run once and kept (`Seen`)
for all that may follow it. The blocks are diffusers' `BasicTransformerBlock` without attention to a
second source, name by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from textdiff.models.attention import Attention, KeysValues
from textdiff.models.prior_config import TransformerConfig
from textdiff.types import TokenFeatures, TokenMask


@dataclass(frozen=True)
class Seen:
    """Tokens that were run.

    layers: keys and values in each block, (B, heads, L, head_dim) both.
    mask: (B, L) True at real tokens.
    """

    layers: tuple[KeysValues, ...]
    mask: TokenMask

    def __len__(self) -> int:
        """B."""
        return len(self.mask)

    def __getitem__(self, rows: Sequence[int] | slice | Tensor) -> Seen:
        """Of these sequences, in this order; one may be asked for several times."""
        index = rows if isinstance(rows, (slice, Tensor)) else torch.tensor(list(rows))
        return Seen(tuple((k[index], v[index]) for k, v in self.layers), self.mask[index])

    @staticmethod
    def cat(parts: Sequence[Seen]) -> Seen:
        """Along the batch; all of one length."""
        of_layers = zip(*(part.layers for part in parts), strict=True)
        layers = tuple(
            (torch.cat([k for k, _ in pairs]), torch.cat([v for _, v in pairs]))
            for pairs in of_layers
        )
        return Seen(layers, torch.cat([part.mask for part in parts]))


class GELU(nn.Module):
    """gelu of a linear layer."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.proj = nn.Linear(dim, hidden)

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.gelu(self.proj(x))


class FeedForward(nn.Module):
    """Two layers, the inner one four times as wide."""

    def __init__(self, dim: int, dropout: float) -> None:
        super().__init__()
        self.net = nn.Sequential(GELU(dim, 4 * dim), nn.Dropout(dropout), nn.Linear(4 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class CausalBlock(nn.Module):
    """Self-attention and feed-forward; each normalised before, added after."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        width = config.width
        self.norm1 = nn.LayerNorm(width)
        self.attn1 = Attention(width, width, config.head_dim, bias=True)
        self.norm3 = nn.LayerNorm(width)
        self.ff = FeedForward(width, config.dropout)
        self.dropout = nn.Dropout(config.dropout)

    def keys_values(self, normed: Tensor, before: KeysValues | None) -> KeysValues:
        """Of all L tokens: normed, norm1 of (B, N, width), stands behind those of `before`."""
        keys, values = self.attn1.keys_values(normed)
        if before is None:
            return keys, values
        return torch.cat([before[0], keys], 2), torch.cat([before[1], values], 2)

    def forward(
        self, x: Tensor, normed: Tensor, keys_values: KeysValues, allowed: Tensor
    ) -> Tensor:
        """x: (B, N, width), which sees what is allowed of all L tokens: (B, 1, N, L) bool."""
        x = x + self.dropout(self.attn1(normed, *keys_values, allowed))
        return x + self.ff(self.norm3(x))


class CausalBlocks(nn.ModuleList):
    """`blocks(x, mask, seen)`: tokens (B, N, width) -> (B, N, width), and what later ones see."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__(CausalBlock(config) for _ in range(config.layers))

    def forward(
        self, x: TokenFeatures, mask: TokenMask, seen: Seen | None = None
    ) -> tuple[TokenFeatures, Seen]:
        """Runs tokens behind those of `seen`.

        Args:
            mask: (B, N) True at real tokens; the first token of a sequence is one.
        """
        seen, x = self._run(x, mask, seen, to_the_end=True)
        return x, seen

    def see(self, x: TokenFeatures, mask: TokenMask) -> Seen:
        """Tokens that others will follow. What the last block would make of them nobody sees, so it
        is not computed."""
        return self._run(x, mask, None, to_the_end=False)[0]

    def _run(
        self, x: TokenFeatures, mask: TokenMask, seen: Seen | None, *, to_the_end: bool
    ) -> tuple[Seen, TokenFeatures]:
        before = 0 if seen is None else seen.mask.shape[1]
        every = mask if seen is None else torch.cat([seen.mask, mask], dim=1)
        places = torch.arange(every.shape[1], device=x.device)
        causal = places <= places[before:, None]
        allowed = causal[None, None] & every[:, None, None, :]
        layers = []
        for number, block in enumerate(self):
            assert isinstance(block, CausalBlock)
            normed = block.norm1(x)
            of_block = block.keys_values(normed, None if seen is None else seen.layers[number])
            layers.append(of_block)
            if to_the_end or number + 1 < len(self):
                x = block(x, normed, of_block, allowed)
        return Seen(tuple(layers), every), x
