"""Embeddings that do not fit are refused with both values."""

from __future__ import annotations

import pytest

from tests.helpers.embeddings import SPACE
from textdiff.data.embedding_space import EmbeddingSpace, check_same_space
from textdiff.errors import UsageError


@pytest.mark.parametrize("key", EmbeddingSpace.model_fields)
def test_both_values_are_named(key):
    other = SPACE.model_copy(update={key: {"embed_dim": 7}.get(key, "raw")})
    with pytest.raises(UsageError) as caught:
        check_same_space("--embeddings e", SPACE, "--prior p", other)
    said = str(caught.value)
    assert said.startswith("--embeddings e has embeddings of ")
    assert str(getattr(SPACE, key)) in said and str(getattr(other, key)) in said
    assert "--prior p has" in said


def test_the_same_is_let_through():
    check_same_space("one", SPACE, "other", EmbeddingSpace(**SPACE.model_dump()))
