"""Rendered pictures: whole or not there, mapped, one winner of a race."""

import pickle
import shutil

import numpy as np
import pytest
import torch

from tests.helpers.damage import DAMAGE
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


def test_a_copy_is_small(tmp_path):
    assert len(pickle.dumps(pictures(tmp_path / "set", count=100))) < 1000


@pytest.mark.parametrize("damage", ["bit flipped", "swapped", "truncated", "emptied", "deleted"])
def test_a_damaged_folder_is_found_before_a_picture_is_used(tmp_path, damage):
    pictures(tmp_path / "set", count=100)
    shutil.copytree(tmp_path / "set", tmp_path / "damaged")
    DAMAGE[damage](tmp_path / "damaged" / "images.npy")
    with pytest.raises(DataError, match=r"damaged|cannot be used"):
        damaged = pictures(tmp_path / "damaged", render=never, count=100)
        [damaged[row] for row in range(100)]


def test_pictures_of_another_shape_are_no_traceback(tmp_path):
    pictures(tmp_path / "set", count=3)
    with pytest.raises(DataError, match=r"is damaged \(images.npy has uint8 \(3, 3, 8, 8\)"):
        pictures(tmp_path / "set", render=never, count=4)


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"cannot be used.*cache_dir"):
        pictures(tmp_path / "file" / "set")
