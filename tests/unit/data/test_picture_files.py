"""Pictures that a flag names, and PNGs that say how they were made."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from textdiff.data.decode import BadImage
from textdiff.data.picture_files import read_picture, save_png
from textdiff.errors import UsageError


def test_a_picture_is_read_through_the_guard(tmp_path):
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "clear.png")
    picture = read_picture("--mask", tmp_path / "clear.png")
    assert (picture.mode, picture.getpixel((0, 0))) == ("RGB", (255, 255, 255))


def test_no_such_file(tmp_path):
    with pytest.raises(UsageError, match=r"--init-image .*absent\.png: no such file"):
        read_picture("--init-image", tmp_path / "absent.png")


def test_no_picture(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no image")
    with pytest.raises(BadImage, match=r"--mask .*bad\.png"):
        read_picture("--mask", tmp_path / "bad.png")


def test_a_png_says_how_it_was_made(tmp_path):
    origin = {"prompt": "🍎 two\nlines", "seed": 3, "init_image": None}
    path = tmp_path / "new" / "a.png"
    save_png(Image.new("RGB", (4, 4), "red"), path, origin)
    with Image.open(path) as picture:
        assert (picture.format, picture.getpixel((0, 0))) == ("PNG", (255, 0, 0))
        assert picture.text["prompt"] == origin["prompt"]
        assert json.loads(picture.text["textdiff"]) == origin
