"""The gallery's folder: what is in it comes back, and nothing beside it."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from textdiff.app.gallery import Gallery, NoPictureError
from textdiff.errors import UsageError
from textdiff.pipeline.config import SamplingConfig
from textdiff.pipeline.origin import Origin

ABSENT = [
    *("", ".", "..", "0" * 23, "0" * 24, "0" * 25, "A" * 24, "../" + "0" * 21),
    *("/etc/passwd", "..%2f..%2fetc%2fpasswd", "%2e%2e", "0" * 24 + "\0", "\0", "0" * 24 + "\n"),
    *("..\\" + "0" * 21, "uploads", "０" * 24),
]


def origin_of(prompt: str) -> Origin:
    return Origin(
        prompt=prompt,
        index=0,
        batch=(prompt,),
        row=0,
        config=SamplingConfig(),
        model={"name": "runs/x"},
        pictures={},
    )


def picture(colour: str) -> Image.Image:
    return Image.new("RGB", (16, 16), colour)


@pytest.fixture
def gallery(tmp_path) -> Gallery:
    return Gallery(tmp_path / "gallery")


@pytest.fixture
def ids(gallery) -> list[str]:
    return [gallery.add(picture(name), origin_of(f"a {name} sky")) for name in ("red", "blue")]


def test_the_newest_comes_first_also_after_a_restart(gallery, ids):
    assert gallery.list() == ids[::-1]
    again = Gallery(gallery.folder)
    newest = again.add(picture("green"), origin_of("green"))
    assert again.list() == [newest, *ids[::-1]]


def test_many_at_once_keep_their_order(gallery):
    ids = [gallery.add(picture("red"), origin_of("red")) for _ in range(20)]
    assert ids == sorted(set(ids))


def test_a_picture_and_its_settings_come_back(gallery, ids):
    kept = gallery.read(ids[0])
    assert (kept.id, kept.origin.prompt) == (ids[0], "a red sky")
    assert np.array_equal(kept.picture, picture("red"))
    with Image.open(io.BytesIO(gallery.png(ids[0]))) as opened:
        assert opened.text["prompt"] == "a red sky"


def test_nothing_is_listed_but_finished_pictures(gallery, ids, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    (gallery.folder / ("0" * 24 + ".png")).symlink_to(secret)
    (gallery.folder / ("1" * 24 + ".png")).mkdir()
    (gallery.folder / f".{ids[0]}-12345678.png").write_bytes(b"half")
    (gallery.folder / "notes.txt").write_text("mine")
    assert gallery.list() == ids[::-1]


def test_an_empty_gallery_has_no_folder_yet(gallery):
    assert gallery.list() == []
    assert not gallery.folder.exists()


@pytest.mark.parametrize("given", ABSENT)
def test_only_ids_of_ours_name_a_picture(gallery, ids, given):
    for action in (gallery.png, gallery.read, gallery.delete, lambda each: gallery.zip([each])):
        with pytest.raises(NoPictureError, match="no picture has the id"):
            action(given)
    assert len(gallery.list()) == 2


def test_no_link_is_followed(gallery, ids, tmp_path):
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    link = gallery.folder / ("0" * 24 + ".png")
    link.symlink_to(secret)
    with pytest.raises(NoPictureError):
        gallery.png("0" * 24)
    gallery.delete("0" * 24)
    assert secret.read_bytes() == b"secret"
    assert not link.is_symlink()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_is_not_waited_for(gallery, ids):
    os.mkfifo(gallery.folder / ("0" * 24 + ".png"))
    with pytest.raises(NoPictureError):
        gallery.png("0" * 24)


def test_an_archive_of_some_or_all(gallery, ids):
    for wanted in (None, ids[:1]):
        with zipfile.ZipFile(io.BytesIO(gallery.zip(wanted))) as archive:
            assert archive.testzip() is None
            expected = [f"{each}.png" for each in (wanted or ids[::-1])]
            assert archive.namelist() == expected
            assert archive.read(expected[0]) == gallery.png(expected[0].removesuffix(".png"))


def test_deleted(gallery, ids):
    gallery.delete(ids[0])
    assert gallery.list() == ids[1:]
    with pytest.raises(NoPictureError):
        gallery.delete(ids[0])


def test_a_write_that_fails_leaves_nothing(gallery, ids, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        gallery.add(picture("green"), origin_of("green"))
    assert len(list(gallery.folder.iterdir())) == 2


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"--gallery .* is no folder"):
        Gallery(tmp_path / "file")
