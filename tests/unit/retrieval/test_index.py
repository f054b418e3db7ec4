"""An index that is opened: rows, near duplicates, and the pictures behind the rows."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from tests.helpers.indexes import build, opened
from tests.helpers.shapes import draw_shape
from textdiff.errors import DataError, UsageError
from textdiff.retrieval.index import Index


@pytest.fixture
def folder(shapes, tmp_path):
    return shutil.copytree(shapes, tmp_path / "shapes")


@pytest.fixture
def index(folder, tmp_path) -> Index:
    return build(tmp_path / "index", opened(folder))


def row_of(index: Index, name: str) -> int:
    return next(row for row in index.live_rows() if index.identifier(row) == name)


def test_a_picture_is_opened_where_it_came_from(index, folder, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    row = row_of(index, "red-cross.png")
    assert np.array_equal(index.picture(row), draw_shape("red", "cross"))
    assert index.picture(row, size=40).size == (40, 40)
    assert index.where(row) == str(folder.resolve() / "red-cross.png")


def test_a_source_that_moved_is_named(index, folder):
    folder.rename(folder.with_name("moved"))
    with pytest.raises(DataError, match=r"shapes is not there any more; .*'textdiff index remove"):
        index.picture(0)


def test_a_picture_that_is_gone_is_named(index, folder):
    row = row_of(index, "red-cross.png")
    (folder / "red-cross.png").unlink()
    table = folder / "metadata.jsonl"
    lines = [line for line in table.read_text().splitlines() if "red-cross" not in line]
    table.write_text("\n".join(lines))
    with pytest.raises(DataError, match=r"red-cross.png is not in .*, which changed since"):
        index.picture(row)


def test_more_like_this_leaves_the_picture_out(index):
    """Shapes of one colour have the nearest mean colours; a row's own cosine would be 1."""
    row = row_of(index, "red-circle.png")
    found = index.nearest_to_row(row, top=3, near=None)
    assert row not in [hit.row for hit in found.hits]
    assert all(hit.caption.startswith("red") for hit in found.hits)
    features = index.rows.take(range(16)).double()
    products = (features @ features[row]).sort(descending=True).values[1:4]
    assert [hit.score for hit in found.hits] == pytest.approx(products.tolist(), abs=1e-12)


def test_near_duplicates_are_listed_once(folder, tmp_path):
    table = folder / "metadata.jsonl"
    (line,) = (line for line in table.read_text().splitlines() if "red-cross" in line)
    for number in range(3):
        shutil.copy(folder / "red-cross.png", folder / f"copy-{number}.png")
        table.write_text(f"{table.read_text()}{line.replace('red-cross', f'copy-{number}')}\n")
    index = build(tmp_path / "index", opened(folder))
    row = row_of(index, "red-circle.png")
    alone = index.nearest_to_row(row, top=19, near=None)
    grouped = index.nearest_to_row(row, top=19, near=1 - 1e-6)
    assert len(alone.hits) == 18
    assert sorted(hit.group_size for hit in grouped.hits)[-1] == 4
    assert sum(hit.group_size for hit in grouped.hits) == 18


@pytest.mark.parametrize("row", [-1, 16])
def test_a_row_that_is_not_there_is_refused(index, row):
    with pytest.raises(UsageError, match=f"row {row} is not in the index"):
        index.nearest_to_row(row)


def test_a_top_below_one_is_refused(index):
    with pytest.raises(UsageError, match="top 0"):
        index.nearest_to_row(0, top=0)
