"""Tokens: open_clip's ids, where a caption ends, and how many were cut."""

from __future__ import annotations

import open_clip
import pytest
import torch

from tests.helpers.tokenizers import word_tokenizer
from textdiff.clip.tokens import tokenize

CAPTIONS = ["a red apple", "", "x " * 50]
END = 49407


@pytest.fixture(scope="module")
def tokenizer():
    return open_clip.SimpleTokenizer(context_length=10)


def test_ids_are_open_clips(tokenizer):
    assert torch.equal(tokenize(tokenizer, CAPTIONS, 10).ids, tokenizer(CAPTIONS))


def test_mask_ends_with_the_end_of_text(tokenizer):
    tokens = tokenize(tokenizer, CAPTIONS, 10)
    assert tokens.lengths.tolist() == [5, 2, 10]
    last = tokens.ids[torch.arange(3), tokens.lengths - 1]
    assert last.tolist() == [END] * 3


def test_mask_ends_at_the_first_end_of_text_a_caption_spells_out(tokenizer):
    tokens = tokenize(tokenizer, ["a <end_of_text> b"], 10)
    assert tokens.lengths.tolist() == [3]


def test_only_cut_captions_are_counted(tokenizer):
    just_fits, too_long = "a " * 8, "a " * 9
    assert tokenize(tokenizer, [just_fits, too_long, "a"], 10).num_truncated == 1


def test_trimmed_keeps_the_longest_caption(tokenizer):
    tokens = tokenize(tokenizer, ["a red apple", "a"], 10)
    assert tokens.trimmed().ids.tolist() == tokens.ids[:, :5].tolist()
    assert tokens.trimmed().lengths.tolist() == [5, 3]


def test_tokenizers_of_transformers_know_their_end(tmp_path):
    tokens = tokenize(word_tokenizer(tmp_path), ["red apple", "red red red red red"], 4)
    assert tokens.ids.tolist() == [[2, 3, 1, 0], [2, 2, 2, 1]]
    assert tokens.lengths.tolist() == [3, 4]
    assert tokens.num_truncated == 1
