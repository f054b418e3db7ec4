"""A caption as the first tokens of a sequence."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from textdiff.models.prior_config import ReadsText
from textdiff.types import Conditioning, TokenMask


def caption_tokens(
    conditioning: Conditioning,
    config: ReadsText,
    of_tokens: nn.Linear,
    of_pooled: nn.Linear,
    places: Tensor,
) -> tuple[Tensor, TokenMask]:
    """Caption tokens, then z_t, with the embeddings of their places: (B, L + 1, width) and mask.

    places: (1, context + ..., width). z_t has the place behind the longest caption, however long
    this one is.

    Raises:
        ValueError: token features or pooled feature of another width, none pooled, or more tokens
            than the context has.
    """
    tokens, pooled, mask = conditioning.tokens, conditioning.pooled, conditioning.mask
    length, context = tokens.shape[1], config.context_length
    given = (tokens.shape[2], None if pooled is None else pooled.shape[1])
    if pooled is None or given != (config.text_width, config.embed_dim) or length > context:
        raise ValueError(
            f"conditioning has {length} tokens of width {given[0]} and a pooled feature of width "
            f"{given[1]}; this network takes up to {context} of {config.text_width}, and "
            f"{config.embed_dim}"
        )
    dtype = of_tokens.weight.dtype
    rows = [of_tokens(tokens.to(dtype)), of_pooled(pooled.to(dtype))[:, None]]
    x = torch.cat(rows, dim=1)
    x = x + torch.cat([places[:, :length], places[:, context : context + 1]], dim=1)
    if mask is None:
        mask = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
    real = torch.ones_like(mask[:, :1])
    return x, torch.cat([mask, real], dim=1)
