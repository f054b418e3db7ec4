"""Lists find most of what an exact search finds, with its scores, and say how much."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.indexes import ShapeColours, build, opened, stored
from textdiff import errors
from textdiff.errors import DataError, UsageError
from textdiff.evaluation.features.cached import CachedFeatures
from textdiff.retrieval.approximate import RECALL, Lists, read_lists, write_lists
from textdiff.retrieval.exact import nearest_rows
from textdiff.retrieval.index import Index
from textdiff.retrieval.writer import IndexWriter

pytest.importorskip("faiss")


def unit(count: int, seed: int, dim: int = 16) -> torch.Tensor:
    rows = torch.randn(count, dim, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.normalize(rows, dim=1)


@pytest.fixture(scope="module")
def rows():
    return stored(unit(1500, 1), unit(500, 2), gone=[3, 1700])


@pytest.fixture(scope="module")
def lists(rows) -> Lists:
    return Lists.of(rows, unit(30, 3))


def test_the_recall_is_what_it_says_on_other_queries(rows, lists):
    assert lists.recall >= RECALL
    hits = 0
    for query in unit(30, 4).split(1):
        true = set(nearest_rows(query, rows, 50).rows[0].tolist())
        hits += len(true & {*lists.nearest(query, rows, 50).rows[0].tolist()})
    assert hits / (30 * 50) > lists.recall - 0.1


def test_scores_are_exact_and_rows_that_are_gone_are_not_found(rows, lists):
    for gone in (3, 1700):
        query = rows.take([gone])
        found = lists.nearest(query, rows, 20)
        assert gone not in found.rows[0].tolist()
        exact = (rows.take(found.rows[0].numpy()).double() * query.double()).sum(dim=1)
        assert torch.equal(found.scores[0], exact)


def test_later_rows_are_looked_at_one_and_all(rows):
    first = stored(rows.take(range(1500)))
    lists = Lists.of(first, unit(10, 3))
    query = rows.take([1999])
    found = lists.nearest(query, rows, 5)
    assert found.rows[0, 0] == 1999
    later = nearest_rows(query, rows.later(1500), 5).rows[0] + 1500
    assert {*found.rows[0].tolist()} >= {*later.tolist()} & {
        *nearest_rows(query, rows, 5).rows[0].tolist()
    }


def test_they_come_back_from_a_file(rows, lists, tmp_path):
    entry = write_lists(tmp_path, lists)
    read = read_lists(tmp_path, entry)
    query = unit(1, 5)
    assert torch.equal(read.nearest(query, rows, 9).rows, lists.nearest(query, rows, 9).rows)
    (tmp_path / entry.file).unlink()  # not overwritten: what was read is mapped
    (tmp_path / entry.file).write_bytes(b"")
    with pytest.raises(DataError, match="is missing or damaged; search with --exact true"):
        read_lists(tmp_path, entry)


def test_an_index_has_them_where_they_are_asked_for(shapes, tmp_path, monkeypatch):
    path = build(tmp_path / "index", opened(shapes)).path
    with IndexWriter.open(path, CachedFeatures(ShapeColours())) as writer:
        writer.finish("on")
    index = Index.open(path)
    found, exact = index.nearest_to_row(0, top=5), index.nearest_to_row(0, top=5, exact=True)
    assert (found.recall, exact.recall) == (index.manifest.lists.recall, None)
    assert [hit.row for hit in found.hits] == [hit.row for hit in exact.hits]
    monkeypatch.setattr(errors, "missing_packages", lambda extra: ["faiss-cpu"])
    with pytest.raises(UsageError, match=r"needs the package faiss-cpu: pip install faiss-cpu"):
        Index.open(path).nearest_to_row(0)
    assert Index.open(path).nearest_to_row(0, exact=True).hits
    with IndexWriter.open(path, CachedFeatures(ShapeColours())) as writer:
        writer.finish("off")
    assert not list(path.glob("*.faiss"))
