"""The search finds what brute force finds: the k largest products, lower numbers first."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.indexes import stored
from textdiff.retrieval import exact
from textdiff.retrieval.exact import bound, nearest_rows

each_dtype = pytest.mark.parametrize("bf16", [False, True])


def unit(count: int, dim: int, seed: int) -> torch.Tensor:
    rows = torch.randn(count, dim, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(rows, dim=1)


def brute_force(queries, rows, k, gone=()):
    """(q, k) rows and their float64 products, by sorting all."""
    products = (rows.double()[None] * queries.double()[:, None]).sum(dim=2)
    products[:, list(gone)] = -torch.inf
    order = products.argsort(dim=1, descending=True, stable=True)[:, :k]
    return order, products.gather(1, order)


def check(queries, rows, k, parts, gone, bf16):
    found = nearest_rows(queries, stored(*parts, gone=gone), k, bf16)
    order, products = brute_force(queries, rows, min(k, len(rows) - len(gone)), gone)
    assert torch.equal(found.rows, order)
    assert torch.equal(found.scores, products)


@given(st.data())
def test_it_is_brute_force(data):
    """With repeated rows, so with ties, in parts and tiles of all sizes, and rows that are gone."""
    dim, distinct = data.draw(st.integers(1, 9)), data.draw(st.integers(1, 12))
    kinds = unit(distinct, dim, data.draw(st.integers(0, 99)))
    which = data.draw(st.lists(st.integers(0, distinct - 1), min_size=1, max_size=60))
    rows = kinds[which]
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(rows) - 1)), max_size=3)))
    parts = [part for part in torch.tensor_split(rows, cuts) if len(part)]
    gone = sorted(data.draw(st.sets(st.integers(0, len(rows) - 1), max_size=len(rows) - 1)))
    queries = unit(data.draw(st.integers(1, 4)), dim, data.draw(st.integers(0, 99)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "TILE", data.draw(st.sampled_from([1, 7, 16, 64])))
        patch.setattr(exact, "QUERIES", data.draw(st.sampled_from([1, 3])))
        patch.setattr(exact, "RESCORED", data.draw(st.sampled_from([1, 5, 100])))
        k = data.draw(st.integers(1, 70))
        check(queries, rows, k, parts, gone, data.draw(st.booleans()))


@each_dtype
def test_many_rows(bf16, monkeypatch):
    monkeypatch.setattr(exact, "TILE", 256)
    rows = unit(5000, 48, 1)
    check(unit(9, 48, 2), rows, 20, torch.split(rows, 700), [3, 700, 4999], bf16)


@each_dtype
def test_rows_in_ascending_order_of_their_products(bf16, monkeypatch):
    """The worst order: each tile beats all before it."""
    monkeypatch.setattr(exact, "TILE", 64)
    rows, queries = unit(2000, 24, 1), unit(1, 24, 2)
    rows = rows[(rows @ queries[0]).argsort()]
    check(queries, rows, 10, [rows], [], bf16)


@each_dtype
def test_equal_rows_fill_no_memory(bf16, monkeypatch):
    """All pairs reach the floor: more than what fits is settled exactly on the way."""
    monkeypatch.setattr(exact, "TILE", 100)
    rows = unit(1, 16, 1).repeat(3000, 1)
    most = []
    prune = exact._Pool._prune

    def watched(pool):
        prune(pool)
        most.append(pool._count)

    monkeypatch.setattr(exact._Pool, "_prune", watched)
    found = nearest_rows(unit(2, 16, 2), stored(rows), 5, bf16)
    assert found.rows.tolist() == [[0, 1, 2, 3, 4]] * 2
    assert max(most) <= 8 * 5 * 2


@each_dtype
def test_products_stay_within_the_bound(bf16):
    rows, queries = unit(400, 512, 1), unit(50, 512, 2)
    parts = stored(rows)
    right = queries.bfloat16() if bf16 else queries
    left = parts.parts[0].coarse.to(right.dtype)
    summed = (left.double() @ right.double().T).T
    apart = (summed - queries.double() @ rows.double().T).abs().amax(dim=1)
    assert (apart.numpy() <= bound(queries, right, parts)).all()
    assert bound(queries, right, parts).max() < 5e-3  # else too many pairs would be kept


def test_an_index_without_rows_has_no_nearest_ones():
    found = nearest_rows(unit(3, 4, 0), stored(unit(2, 4, 1), gone=[0, 1]), 5)
    assert found.rows.shape == found.scores.shape == (3, 0)


@pytest.mark.parametrize(("k", "value"), [(0, 1.0), (1, float("nan")), (1, float("inf"))])
def test_what_cannot_be_asked_is_refused(k, value):
    with pytest.raises(ValueError, match=f"k = {k}"):
        nearest_rows(torch.full((1, 4), value), stored(unit(2, 4, 1)), k)
