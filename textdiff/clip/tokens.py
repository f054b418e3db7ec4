"""Captions to token ids, with open_clip's own tokenizers.

    "a red apple" -> [start, a, red, apple, end, 0, 0, ...]    ids (B, L)
                     [    1, 1,   1,     1,   1, 0, 0, ...]    mask (B, L)

A caption longer than L is cut so that its last token is the end-of-text token; cut captions are
counted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import torch

from textdiff.types import TokenMask

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class _Tokenizer(Protocol):
    def __call__(self, texts: list[str], context_length: int) -> torch.Tensor:
        """Ids (B, context_length) int64, cut or padded."""
        ...


@runtime_checkable
class BytePairTokenizer(_Tokenizer, Protocol):
    """CLIP's own: `open_clip.SimpleTokenizer`."""

    eot_token_id: int

    def clean_fn(self, text: str) -> str:
        """`text` without what the tokenizer should not see, such as HTML entities."""
        ...

    def encode(self, text: str) -> list[int]:
        """Ids of `text` alone, without start and end."""
        ...


@runtime_checkable
class WrappedTokenizer(_Tokenizer, Protocol):
    """A tokenizer of transformers: `open_clip.HFTokenizer`."""

    tokenizer: PreTrainedTokenizerBase

    def clean_fn(self, text: str) -> str:
        """`text` without what the tokenizer should not see, such as HTML entities."""
        ...


Tokenizer = BytePairTokenizer | WrappedTokenizer


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


def tokenize(tokenizer: Tokenizer, captions: list[str], length: int) -> Tokens:
    """Tokens of captions, each padded or cut to `length`."""
    ids = tokenizer(captions, context_length=length)
    is_end = (ids == _end_of_text(tokenizer)).long()
    mask = is_end.cumsum(dim=1) - is_end == 0
    # Only a caption that fills every position can have been cut.
    full = [caption for caption, fills in zip(captions, mask.all(dim=1), strict=True) if fills]
    cut = sum(_uncut_length(tokenizer, caption) > length for caption in full)
    return Tokens(ids, mask, num_truncated=cut)


def _end_of_text(tokenizer: Tokenizer) -> int:
    if isinstance(tokenizer, BytePairTokenizer):
        return tokenizer.eot_token_id
    inner = tokenizer.tokenizer
    return inner.sep_token_id if inner.eos_token_id is None else inner.eos_token_id


def _uncut_length(tokenizer: Tokenizer, caption: str) -> int:
    if isinstance(tokenizer, BytePairTokenizer):
        return len(tokenizer.encode(caption)) + 2
    return len(tokenizer.tokenizer(tokenizer.clean_fn(caption)).input_ids)
