"""Packed texts come back as they were."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from textdiff.retrieval.texts import PackedTexts


@given(st.lists(st.text(max_size=9), max_size=9))
def test_texts_come_back(texts):
    packed = PackedTexts.of(texts)
    assert list(packed) == texts
    assert len(packed.content) == sum(len(text.encode()) for text in texts)


def test_half_a_surrogate_pair_of_a_file_name_is_kept():
    assert list(PackedTexts.of(["a\udce9b", "c"])) == ["a\udce9b", "c"]
