"""Rows on disk: they tell when they were spoilt, and a folder says what its rows are of."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from textdiff.data.row_cache import RowCache
from textdiff.errors import DataError

ABOUT = {"VAE": "a1", "data": ["d", None]}


def cache_in(tmp_path, **changes):
    given = {"name": "latents", "dtype": "float16", "about": ABOUT, **changes}
    return RowCache(tmp_path / "cache" / "latents", given.pop("shape", (5, 2, 3)), **given)


def values(*rows):
    return [np.full((2, 3), row, np.float16) for row in rows]


def fill(cache, rows, stop_at=None):
    """Rows that were computed."""
    computed = []
    with cache.filling(rows, "filling") as chunks:
        for chunk in chunks:
            if stop_at in chunk:
                raise KeyboardInterrupt
            cache.write(chunk, values(*chunk))
            computed += chunk
    return computed


def test_rows_are_computed_once(tmp_path):
    cache = cache_in(tmp_path)
    assert cache.get(3) is None and cache.missing(range(5)) == [0, 1, 2, 3, 4]
    assert fill(cache, [1, 3]) == [1, 3]
    assert fill(cache_in(tmp_path), range(5)) == [0, 2, 4]
    assert torch.equal(cache.get(3), torch.full((2, 3), 3.0).half())


def test_a_fill_that_was_stopped_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr("textdiff.data.row_cache.CHUNK", 2)
    with pytest.raises(KeyboardInterrupt):
        fill(cache_in(tmp_path), range(5), stop_at=2)
    assert fill(cache_in(tmp_path), range(5)) == [2, 3, 4]


def test_a_row_that_was_spoilt_is_told_and_computed_again(tmp_path):
    cache = cache_in(tmp_path)
    fill(cache, range(5))
    assert cache.spoilt(range(5)) == []
    file = cache.folder / "latents.npy"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1  # of the last row
    file.write_bytes(content)
    again = cache_in(tmp_path)
    assert again.spoilt(range(5)) == [4]
    again.forget([4])
    assert fill(again, range(5)) == [4]
    assert again.spoilt(range(5)) == []


def test_a_row_of_zeros_counts_as_filled(tmp_path):
    cache = cache_in(tmp_path)
    cache.write([0], values(0))
    assert cache.missing([0]) == []


@pytest.mark.parametrize("change", [{"shape": (5, 2, 4)}, {"dtype": "float32"}])
def test_rows_of_another_kind_are_refused(tmp_path, change):
    cache_in(tmp_path)
    with pytest.raises(DataError, match=r"damaged \(latents.npy has .* in place of"):
        cache_in(tmp_path, **change)


def test_rows_of_something_else_are_refused_by_name(tmp_path):
    cache_in(tmp_path)
    with pytest.raises(DataError, match="rows of another VAE, a1, not of b2: delete it"):
        cache_in(tmp_path, about=ABOUT | {"VAE": "b2"})
