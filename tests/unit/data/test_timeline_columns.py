"""Columns of pictures over time, written and read."""

from __future__ import annotations

import itertools

import pytest
from PIL import Image

from textdiff.data.timeline_columns import (
    SIDE,
    column_files,
    evenly_spaced,
    read_column,
    write_column,
)


def test_what_is_written_is_read(tmp_path):
    images = [Image.new("RGB", (16, 16), (row, 0, 9)) for row in range(3)]
    file = tmp_path / "step-000500.png"
    write_column(file, images, ["a", "b", "ein Ä"])
    column = read_column(file)
    assert column.prompts == ["a", "b", "ein Ä"]
    assert [picture.getpixel((3, 3)) for picture in column.pictures] == [
        (k, 0, 9) for k in range(3)
    ]
    assert list(column_files(tmp_path)) == [(500, file)]


def test_large_pictures_are_kept_small(tmp_path):
    write_column(tmp_path / "a.png", [Image.new("RGB", (300, 300))], ["a"])
    assert read_column(tmp_path / "a.png").pictures[0].size == (SIDE, SIDE)


@pytest.mark.parametrize("content", [b"", b"\x89PNG", b"not a picture"])
def test_a_file_that_cannot_be_read_is_none(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    assert read_column(tmp_path / "a.png") is None


def test_a_picture_without_prompts_is_none(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    assert read_column(tmp_path / "a.png") is None


def test_files_of_other_names_are_passed_over(tmp_path):
    for name in ("step-10.png", "step-9.png", "step-x.png", "timeline.png"):
        (tmp_path / name).touch()
    assert [step for step, _ in column_files(tmp_path)] == [9, 10]


@pytest.mark.parametrize("count", [1, 5, 12, 13, 40, 1001])
def test_evenly_spaced_keeps_both_ends(count):
    kept = evenly_spaced(range(count), 12)
    assert len(kept) == len(set(kept)) == min(count, 12)
    assert (kept[0], kept[-1]) == (0, count - 1)
    gaps = [b - a for a, b in itertools.pairwise(kept)]
    assert max(gaps, default=1) - min(gaps, default=1) <= 1
