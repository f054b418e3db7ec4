"""Pictures that are removed are found no more; the others keep their numbers."""

from __future__ import annotations

import pytest

from tests.helpers.indexes import build, opened
from textdiff.errors import UsageError
from textdiff.retrieval.changes import remove_pictures
from textdiff.retrieval.index import Index


@pytest.fixture
def index(shapes, tmp_path) -> Index:
    return build(tmp_path / "index", opened(shapes))


def test_pictures_by_name(index):
    names = {index.identifier(row): row for row in index.live_rows()}
    assert remove_pictures(index.path, None, ["red-circle.png", "blue-cross.png"]) == 2
    left = Index.open(index.path)
    assert {left.identifier(row): row for row in left.live_rows()} == {
        name: row for name, row in names.items() if name not in ("red-circle.png", "blue-cross.png")
    }
    assert left.pictures_by_source() == [14]
    found = left.nearest_to_row(names["red-cross.png"], top=20, near=None)
    assert len(found.hits) == 13
    with pytest.raises(UsageError, match=r"row \d+ is not in the index"):
        left.caption(names["red-circle.png"])


def test_a_whole_source(index, shapes):
    assert remove_pictures(index.path, str(shapes), []) == 16
    assert len(Index.open(index.path)) == 0


@pytest.mark.parametrize(
    ("source", "pictures", "said"),
    [
        (None, [], "say what to remove"),
        ("elsewhere", [], "'elsewhere' is no source of the index .*; it has .*shapes"),
        (None, ["red-star.png"], "red-star.png is no picture of .*shapes"),
    ],
)
def test_what_is_not_there_is_said(index, source, pictures, said):
    with pytest.raises(UsageError, match=said):
        remove_pictures(index.path, source, pictures)
    assert len(Index.open(index.path)) == 16
