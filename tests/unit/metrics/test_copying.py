"""Nearest training pictures, and copies among drawn ones."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from textdiff.errors import DataError
from textdiff.metrics import copied_share, nearest_pictures, tiles


def features(rows: int, dim: int = 6, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, dim, generator=torch.Generator().manual_seed(seed))


@given(st.integers(0, 10**6), st.integers(1, 20), st.integers(1, 30))
def test_the_most_similar_of_all(seed, n, m):
    x, training = features(n, seed=seed), features(m, seed=seed + 1)
    cosine = torch.cosine_similarity(x[:, None].double(), training[None].double(), dim=-1)
    found = nearest_pictures(x, training)
    assert torch.equal(found.index, cosine.argmax(dim=1))
    torch.testing.assert_close(found.similarity, cosine.amax(dim=1))


def test_tiles_change_nothing_and_the_first_of_equal_ones_is_named(monkeypatch):
    training = features(9).repeat(5, 1)
    x = features(30, seed=3)
    whole = nearest_pictures(x, training)
    monkeypatch.setattr(tiles, "TILE", 4)
    tiled = nearest_pictures(x, training)
    assert torch.equal(tiled.index, whole.index)
    assert int(whole.index.max()) < 9
    torch.testing.assert_close(tiled.similarity, whole.similarity)


def test_a_copy_has_similarity_one():
    training = features(50)
    found = nearest_pictures(3 * training[[7, 31]], training)
    assert found.index.tolist() == [7, 31]
    assert found.similarity.tolist() == pytest.approx([1, 1], abs=1e-12)


def test_pictures_of_the_distribution_are_copies_as_often_as_chance_has_it():
    training = features(300)
    held_out, drawn = (nearest_pictures(features(1000, seed=s), training) for s in (1, 2))
    found = copied_share(drawn.similarity, held_out.similarity, 0.9)
    assert found.chance == pytest.approx(0.1)
    assert found.share.value == pytest.approx(0.1, abs=0.03)
    assert found.share.low < found.share.value < found.share.high


def test_copies_are_found_among_others():
    """A third of the drawn pictures are training pictures with a little noise."""
    training, drawn = features(300), features(90, seed=2)
    drawn[::3] = training[:30] + 0.01 * drawn[::3]
    held_out = nearest_pictures(features(400, seed=1), training)
    found = copied_share(nearest_pictures(drawn, training).similarity, held_out.similarity)
    assert found.copied[::3].all()
    assert found.share.value == pytest.approx(1 / 3 + 2 / 3 * 0.05, abs=0.06)
    assert found.share.low > found.chance


def test_as_many_as_held_out_pictures_lie_above_the_threshold():
    held_out = torch.arange(100).double() / 100
    found = copied_share(torch.tensor([0.0, 0.94, 0.95, 0.99]), held_out, 0.95)
    assert 0.94 < found.threshold < 0.95
    assert found.copied.tolist() == [False, False, True, True]


def test_a_quantile_of_too_few_is_refused():
    with pytest.raises(DataError, match=r"99 held-out pictures, too few for their 95% .* 100 or"):
        copied_share(torch.rand(4), torch.rand(99))
    with pytest.raises(ValueError, match=r"quantile 1\.0"):
        copied_share(torch.rand(4), torch.rand(99), 1.0)
