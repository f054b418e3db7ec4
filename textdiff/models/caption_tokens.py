"""A caption as the first tokens of a sequence."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from textdiff.models.causal import CausalBlocks, Seen
from textdiff.models.prior_config import ReadsText
from textdiff.types import Conditioning, TokenMask


@runtime_checkable
class CaptionReader(Protocol):
    """A transformer whose sequences begin with a caption.

    positional_embedding: (1, context_length + 1 + ..., width).
    """

    @property
    def config(self) -> ReadsText: ...

    encoder_hidden_states_proj: nn.Linear
    embedding_proj: nn.Linear
    positional_embedding: nn.Parameter
    transformer_blocks: CausalBlocks


def run_caption(network: CaptionReader, conditioning: Conditioning) -> Seen:
    """The caption, for all that may follow it. Raises ValueError as `caption_tokens`."""
    return network.transformer_blocks.see(*caption_tokens(network, conditioning))


def caption_tokens(network: CaptionReader, conditioning: Conditioning) -> tuple[Tensor, TokenMask]:
    """Caption tokens, then z_t, with the embeddings of their places: (B, L + 1, width) and mask.

    z_t has the place behind the longest caption, however long this one is.

    Raises:
        ValueError: token features or pooled feature of another width, none pooled, or more tokens
            than the context has.
    """
    config, places = network.config, network.positional_embedding
    tokens, pooled, mask = conditioning.tokens, conditioning.pooled, conditioning.mask
    length, context = tokens.shape[1], config.context_length
    given = (tokens.shape[2], None if pooled is None else pooled.shape[1])
    if pooled is None or given != (config.text_width, config.embed_dim) or length > context:
        raise ValueError(
            f"conditioning has {length} tokens of width {given[0]} and a pooled feature of width "
            f"{given[1]}; this network takes up to {context} of {config.text_width}, and "
            f"{config.embed_dim}"
        )
    dtype = places.dtype
    words = network.encoder_hidden_states_proj(tokens.to(dtype))
    x = torch.cat([words, network.embedding_proj(pooled.to(dtype))[:, None]], dim=1)
    x = x + torch.cat([places[:, :length], places[:, context : context + 1]], dim=1)
    if mask is None:
        mask = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device)
    real = torch.ones_like(mask[:, :1])
    return x, torch.cat([mask, real], dim=1)
