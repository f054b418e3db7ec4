"""Rendered pictures: whole or not there, mapped, one winner of a race."""

import pickle

import numpy as np
import pytest
import torch

from textdiff.data.rendered import RenderedPictures
from textdiff.errors import DataError


def pictures(folder, render=None, count=3):
    made = (np.full((3, 8, 8), 20 * i % 256, np.uint8) for i in range(count))
    return RenderedPictures(
        folder, render or (lambda: made), count=count, side=8, texts={"a.txt": "b"}, what="greys"
    )


def never():
    raise AssertionError("rendered again")


def test_pictures_and_texts_are_kept(tmp_path):
    pictures(tmp_path / "set")
    again = pictures(tmp_path / "set", render=never)
    assert torch.equal(again[2], torch.full((3, 8, 8), 40, dtype=torch.uint8))
    assert (tmp_path / "set" / "a.txt").read_text() == "b"
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_losing_the_race_for_the_folder_is_no_error(tmp_path):
    def late():
        pictures(tmp_path / "set")  # another process makes it meanwhile
        yield from (np.full((3, 8, 8), 20 * i % 256, np.uint8) for i in range(3))

    assert pictures(tmp_path / "set", render=late)[1][0, 0, 0] == 20
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_copy_is_small(tmp_path):
    assert len(pickle.dumps(pictures(tmp_path / "set", count=100))) < 1000


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot be used.*cache_dir"):
        pictures(tmp_path / "file" / "set")
