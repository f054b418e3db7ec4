"""Whether a training would run, by what it would meet."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from PIL import Image

from textdiff.data import DataConfig, open_data
from textdiff.data.check import SplitCount, check_data
from textdiff.errors import DataError
from textdiff.evaluation.data_check.page import data_report


@pytest.fixture
def folder(tmp_path):
    """Twelve pictures for training, of which two are none and one is there twice; one each held
    out."""
    for k in range(12):
        Image.new("RGB", (10 + k, 10), (20 * k, 0, 0)).save(tmp_path / f"{k:02}.png")
        (tmp_path / f"{k:02}.txt").write_text(f"number {k}")
    for split in ("val", "test"):
        (tmp_path / split).mkdir()
        Image.new("RGB", (10, 10), "blue").save(tmp_path / split / "a.png")
        (tmp_path / split / "a.txt").write_text("blue")
    for bad in ("03.png", "04.png", "11.png"):
        (tmp_path / bad).write_bytes(b"")
    return tmp_path


def config(folder, **settings) -> DataConfig:
    return DataConfig(source=str(folder), image_size=8, **settings)


def test_splits_and_who_stands_in(folder):
    check = check_data(config(folder, max_bad_fraction=1), 77).check
    assert check.trouble is None
    assert check.splits == {
        "train": SplitCount(12, 9),
        "val": SplitCount(1, 1),
        "test": SplitCount(1, 1),
    }
    assert check.replacements == {"03.png": "05.png", "04.png": "05.png", "11.png": "00.png"}
    assert check.alike == [["test/a.png", "val/a.png"]]


def test_the_limit_is_that_of_a_training(folder):
    for limit in (3 / 14, 2.9 / 14):
        settings = config(folder, max_bad_fraction=limit)
        data = open_data(settings)
        trouble = check_data(settings, 77).check.trouble
        if limit >= 3 / 14:
            data.read(range(len(data)))
            assert trouble is None
        else:
            with pytest.raises(DataError) as error:
                data.read(range(len(data)))
            assert trouble == str(error.value)


def test_held_out_pictures_that_cannot_be_used_are_trouble_too(folder):
    (folder / "val" / "a.png").write_bytes(b"")
    trouble = check_data(config(folder, max_bad_fraction=1), 77).check.trouble
    assert trouble is not None and "no image of split 'val'" in trouble


def test_a_test_split_that_cannot_be_used_stops_no_training(folder):
    (folder / "test" / "a.png").write_bytes(b"")
    checked = check_data(config(folder, max_bad_fraction=1), 77)
    assert checked.check.trouble is None
    page = json.dumps(asdict(data_report(checked, 0, "nowhere")))
    assert "No picture of split 'test' can be used." in page


def test_a_set_without_held_out_pictures_trains(tmp_path):
    Image.new("RGB", (10, 10)).save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("a")
    assert check_data(config(tmp_path), 77).check.trouble is None
