"""Tokens and embeddings computed once per distinct caption, where they fit in memory."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from functools import lru_cache

import torch

from textdiff.clip.config import LAST_LAYER
from textdiff.clip.features import text_features
from textdiff.clip.model import ClipModel
from textdiff.clip.noised import NoisedClip
from textdiff.clip.tokens import Tokens
from textdiff.errors import UsageError
from textdiff.types import Conditioning, Features

LIMIT_BYTES = 2 * 2**30
CHUNK = 256
MOST_REMEMBERED = 2**15  # captions: some 40 MB at 24 tokens


class CaptionTokens:
    """Tokens of captions, each looked up where it was met before: cleaning the text of a batch
    takes longer than all else that is done for it outside the towers."""

    def __init__(self, clip: ClipModel | NoisedClip):
        self._tokens_of = lru_cache(MOST_REMEMBERED)(lambda caption: clip.tokenize([caption]))

    def __call__(self, captions: Sequence[str]) -> Tokens:
        """As `clip.tokenize`."""
        rows = [self._tokens_of(caption) for caption in captions]
        return Tokens(
            torch.cat([row.ids for row in rows]),
            torch.cat([row.mask for row in rows]),
            sum(row.num_truncated for row in rows),
        )


class CaptionEmbeddings:
    """Conditioning of captions from a frozen CLIP, looked up or, above `limit_bytes`, computed.

    All rows are padded to the longest caption's length, so that they stack.
    """

    def __init__(
        self,
        clip: ClipModel,
        captions: Iterable[str],
        layers: Sequence[int] = LAST_LAYER,
        *,
        padding: bool = False,
        limit_bytes: int = LIMIT_BYTES,
    ):
        """layers, padding: as of `ClipModel.conditioning`; with padding rows have the whole
        context."""
        distinct = sorted({"", *captions})
        tokens = clip.tokenize(distinct)
        if tokens.num_truncated:
            logging.getLogger(__name__).warning(
                "%d of %d captions are longer than the text tower's %d tokens and were cut",
                tokens.num_truncated, len(distinct), clip.context_length,
            )  # fmt: skip
        self.clip, self.layers, self.padding = clip, tuple(layers), padding
        self.rows = {caption: row for row, caption in enumerate(distinct)}
        longest = clip.context_length if padding else int(tokens.lengths.max())
        self.length = self._common_length(longest)
        self.row_bytes = 4 * (self.length * clip.text_width * len(layers) + clip.embed_dim)
        self.table = None
        if len(distinct) * self.row_bytes <= limit_bytes:
            chunks = [distinct[i : i + CHUNK] for i in range(0, len(distinct), CHUNK)]
            self.table = Conditioning.cat([self._conditioning(chunk) for chunk in chunks])

    def _common_length(self, longest: int) -> int:
        """A tower that is not causal needs its padding: only whole contexts there."""
        try:
            self.clip.conditioning([""], longest)
        except UsageError:
            return self.clip.context_length
        return longest

    def __call__(self, captions: Sequence[str]) -> Conditioning:
        """Conditioning of B captions, on the CLIP's device."""
        if self.table is None:
            return self._conditioning(list(captions))
        return self.table[torch.tensor([self.rows[caption] for caption in captions])]

    def _conditioning(self, captions: list[str]) -> Conditioning:
        return self.clip.conditioning(captions, self.length, self.layers, self.padding)


class CaptionFeatures:
    """Projected features of captions from a frozen text tower, not normalised, looked up or, above
    `limit_bytes`, computed."""

    def __init__(
        self,
        clip: ClipModel | NoisedClip,
        captions: Iterable[str],
        limit_bytes: int = LIMIT_BYTES,
    ):
        distinct = sorted(set(captions))
        self.clip, self.rows = clip, {caption: row for row, caption in enumerate(distinct)}
        fits = 4 * len(distinct) * clip.embed_dim <= limit_bytes
        self.table = text_features(clip, distinct) if fits else None

    @torch.no_grad()
    def __call__(self, captions: Sequence[str]) -> Features:
        """(B, E), on the CLIP's device."""
        if self.table is None:
            return self.clip.encode_text(list(captions)).projected
        rows = torch.tensor([self.rows[caption] for caption in captions])
        return self.table[rows].to(self.clip.logit_scale.device)
