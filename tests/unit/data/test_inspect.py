"""What an inspection counts, and how it reads."""

from pathlib import Path

import pytest
from PIL import Image

from textdiff.data import DataConfig, open_data
from textdiff.data.facts import facts, repeats_text, spread_text
from textdiff.data.inspect import (
    Rejected,
    Repeats,
    Spread,
    count_repeats,
    inspect,
    shared,
    spread,
)


@pytest.fixture
def folder(tmp_path) -> Path:
    """Ten pictures: two alike, two with one caption, one caption too long, two unusable files."""
    captions = ["red", "green", "green", "word " * 20, *(f"number {i}" for i in range(6))]
    for i, caption in enumerate(captions):
        Image.new("RGB", (10 + i, 20), (max(i, 1) * 20, 0, 0)).save(tmp_path / f"{i}.png")
        (tmp_path / f"{i}.txt").write_text(caption)
    (tmp_path / "8.png").write_bytes(b"no image")
    Image.new("RGB", (2, 2)).save(tmp_path / "9.png")
    return tmp_path


@pytest.fixture
def inspection(folder):
    return inspect(open_data(DataConfig(source=str(folder), image_size=8), "all"), 16)


def test_report(inspection):
    report = inspection.report
    assert sum(report.images.values()) == 10
    assert inspection.usable == list(range(8))
    assert report.rejected["too small"] == Rejected(1, "9.png")
    assert sum(each.count for each in report.rejected.values()) == 2
    assert report.original_width == Spread(10, 13.5, 17)
    assert report.caption_tokens == Spread(3, 4, 22)
    assert report.truncated == 1
    assert report.longest_caption.startswith("word word")
    assert (report.same_picture.values, report.same_picture.images) == (1, 2)
    assert (report.same_caption.values, report.same_caption.images) == (1, 2)


def test_the_report_as_people_read_it(inspection):
    lines = dict(facts(inspection.report))
    assert lines["images"] == "10"
    assert lines["width of originals"] == "10 to 17 pixels, median 14"
    assert lines["height of originals"] == "20 pixels"
    assert lines["truncated captions"].startswith("1 longer than 16 tokens (longest: word word")
    assert ("rejected", "1 too small (first: 9.png)") in facts(inspection.report)


def test_values_that_cross_the_split_are_counted():
    items = [(0, "a"), (1, "a"), (2, "b"), (3, "b"), (4, "c")]
    groups = shared(items)
    assert groups == [[0, 1], [2, 3]]
    assert count_repeats(groups, ["train", "val", "train", "train", "val"]) == Repeats(2, 4, 1)


def test_nothing_has_no_spread():
    assert spread([]) is None
    assert spread_text(None) == "unknown"


def test_repeats_in_words():
    assert repeats_text(Repeats(0, 0, 0), "captions") == "none"
    expected = "2 captions shared by 4 images; 1 of them on more than one side of the split"
    assert repeats_text(Repeats(2, 4, 1), "captions") == expected
