"""Captions to token ids, with open_clip's own tokenizers.

    "a red apple" -> [start, a, red, apple, end, 0, 0, ...]    ids (B, L)
                     [    1, 1,   1,     1,   1, 0, 0, ...]    mask (B, L)

A caption longer than L is cut so that its last token is the end-of-text token; the cut are counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from textdiff.types import TokenMask


@dataclass(frozen=True)
class Tokens:
    """Token ids of captions.

    ids: (B, L) int64, padded behind the end-of-text token.
    mask: (B, L) True up to and including the first end-of-text token.
    num_truncated: how many captions were cut to fit L.
    """

    ids: torch.Tensor
    mask: TokenMask
    num_truncated: int = 0

    @property
    def lengths(self) -> torch.Tensor:
        """(B,) int64, start and end-of-text tokens included."""
        return self.mask.sum(dim=1)

    def __len__(self) -> int:
        return len(self.ids)

    def to(self, device: torch.device | str) -> Tokens:
        return replace(self, ids=self.ids.to(device), mask=self.mask.to(device))

    def trimmed(self) -> Tokens:
        """Without the positions that are padding in every caption."""
        longest = int(self.lengths.max())
        return replace(self, ids=self.ids[:, :longest], mask=self.mask[:, :longest])


def tokenize(tokenizer, captions: list[str], length: int) -> Tokens:
    """`captions` through an open_clip tokenizer, padded or cut to `length` tokens each."""
    ids = tokenizer(captions, context_length=length)
    is_end = (ids == _end_of_text(tokenizer)).long()
    mask = is_end.cumsum(dim=1) - is_end == 0
    # Only a caption that fills every position can have been cut.
    full = [caption for caption, fills in zip(captions, mask.all(dim=1), strict=True) if fills]
    cut = sum(_uncut_length(tokenizer, caption) > length for caption in full)
    return Tokens(ids, mask, num_truncated=cut)


def _is_byte_pair(tokenizer) -> bool:
    """Is it CLIP's own tokenizer, or one of transformers inside open_clip's wrapper?"""
    return hasattr(tokenizer, "eot_token_id")


def _end_of_text(tokenizer) -> int:
    if _is_byte_pair(tokenizer):
        return tokenizer.eot_token_id
    wrapped = tokenizer.tokenizer
    return wrapped.sep_token_id if wrapped.eos_token_id is None else wrapped.eos_token_id


def _uncut_length(tokenizer, caption: str) -> int:
    if _is_byte_pair(tokenizer):
        return len(tokenizer.encode(caption)) + 2
    return len(tokenizer.tokenizer(tokenizer.clean_fn(caption)).input_ids)
