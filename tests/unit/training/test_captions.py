"""Tokens and embeddings of captions are those that the CLIP gives."""

from __future__ import annotations

import pytest
import torch

from textdiff.clip import ClipModel
from textdiff.training.captions import CaptionEmbeddings, CaptionTokens


def test_tokens_are_those_of_tokenize_first_and_again(tiny_clip):
    clip = ClipModel.load(tiny_clip)
    captions = ["red circle", "word " * 100, "", "a blue square", "word " * 100]
    tokens, expected = CaptionTokens(clip), clip.tokenize(captions)
    for _ in range(2):
        found = tokens(captions)
        assert torch.equal(found.ids, expected.ids)
        assert torch.equal(found.mask, expected.mask)
        assert found.num_truncated == expected.num_truncated == 2


def test_a_caption_is_tokenized_once(tiny_clip, monkeypatch):
    clip, seen, tokenize = ClipModel.load(tiny_clip), [], ClipModel.tokenize

    def counted(self, captions):
        seen.extend(captions)
        return tokenize(self, captions)

    monkeypatch.setattr(ClipModel, "tokenize", counted)
    tokens = CaptionTokens(clip)
    tokens(["a", "b", "a"]), tokens(["b", "c"])
    assert seen == ["a", "b", "c"]


@pytest.mark.parametrize("limit_bytes", [0, 2**30])
def test_padding_is_kept_where_the_network_is_to_see_it(tiny_clip, limit_bytes):
    clip, captions = ClipModel.load(tiny_clip).freeze(), ["red circle", "a blue square"]
    embed = CaptionEmbeddings(clip, captions, padding=True, limit_bytes=limit_bytes)
    found, expected = embed(captions), clip.conditioning(captions, padding=True)
    assert found.mask is None and found.tokens.shape[1] == clip.context_length
    torch.testing.assert_close(found.tokens, expected.tokens)
