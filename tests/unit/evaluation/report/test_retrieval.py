"""Retrieval of an extractor that knows colours alone."""

from __future__ import annotations

import shutil

import pytest

from tests.helpers.extractors import NamedColours
from tests.helpers.shapes import draw_shape
from textdiff.data import DataConfig, open_data
from textdiff.evaluation.features.cached import CachedFeatures
from textdiff.evaluation.report.document import Gallery, Missing, Numbers
from textdiff.evaluation.report.retrieval import retrieval


@pytest.fixture
def data(tmp_path):
    """A red, a green and a blue square, and a red one that is captioned blue."""
    folder = tmp_path / "squares"
    folder.mkdir()
    for name, colour in (
        ("red", "red"),
        ("green", "green"),
        ("blue", "blue"),
        ("blue wrong", "red"),
    ):
        draw_shape(colour, "square").save(folder / f"{name}.png")
        (folder / f"{name}.txt").write_text(name)
    yield open_data(DataConfig(source=str(folder), image_size=16, min_side=4), "all")
    shutil.rmtree(folder)


def test_rates_and_the_pictures_behind_them(data):
    part = retrieval(CachedFeatures(NamedColours()), {"all": data}, examples=2)
    table, _, first, last = part.section.blocks
    assert isinstance(table, Numbers)
    rows = {row.name: row for row in table.rows}
    assert rows["image to text R@1"].floor == 0.25
    assert rows["image to text R@1"].ceiling == 1
    assert rows["text to image median rank"].floor == 2.5
    assert isinstance(first, Gallery)
    assert first.pictures[0].badge == "rank 1"
    assert last.pictures[0].caption == "blue wrong"
    assert len(last.pictures) == 2
    assert [row.name for row in part.headlines] == [
        "image to text R@1, all",
        "text to image R@1, all",
    ]
    assert part.numbers["retrieval"]["all"]["searched"] == 4


def test_one_picture_is_nothing_to_search_among(tmp_path):
    draw_shape("red", "square").save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("red square")
    data = open_data(DataConfig(source=str(tmp_path), image_size=16, min_side=4), "all")
    (missing,) = retrieval(CachedFeatures(NamedColours()), {"all": data}, 2).section.blocks
    assert isinstance(missing, Missing)
    assert "two or more" in missing.why
