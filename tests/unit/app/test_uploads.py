"""Pictures that clients send: checked, cleaned, kept under their hash."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from textdiff.app.settings import Limits
from textdiff.app.uploads import Uploads
from textdiff.data.decode import BadImage
from textdiff.data.picture_files import read_mask, read_picture
from textdiff.errors import DataError


@pytest.fixture
def uploads(tmp_path) -> Uploads:
    limits = Limits(upload_side=64, upload_bytes=20_000, uploads=3)
    return Uploads(tmp_path / "uploads", limits)


def encoded(picture: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, format=kind, **options)
    return file.getvalue()


def plain(colour: str = "red", size: tuple[int, int] = (16, 16)) -> Image.Image:
    return Image.new("RGB", size, colour)


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header states a size that it has no pixels for."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def test_the_file_is_named_after_its_hash(uploads):
    new = uploads.add(encoded(plain()))
    path = uploads.path(new)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == new == path.stem
    assert np.array_equal(read_picture("it", path), plain())
    assert uploads.add(encoded(plain())) == new


def test_metadata_is_left_behind(uploads):
    info, exif = PngInfo(), Image.Exif()
    info.add_itxt("textdiff", "{}")
    exif[0x010F] = "a camera"
    new = uploads.add(encoded(plain(), pnginfo=info, exif=exif))
    assert new == uploads.add(encoded(plain()))


def test_upright_by_its_exif(uploads):
    exif = Image.Exif()
    exif[0x0112] = 6
    sideways = encoded(plain(size=(16, 32)), "JPEG", exif=exif)
    assert read_picture("it", uploads.path(uploads.add(sideways))).size == (32, 16)


def test_a_mask_keeps_its_transparency(uploads):
    mask = Image.new("RGBA", (16, 16), (0, 0, 0, 0))
    mask.paste((255, 255, 255, 255), (4, 4, 8, 8))
    stored = uploads.path(uploads.add(encoded(mask)))
    assert np.array_equal(read_mask("it", stored), mask)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty file"),
        (b"no picture at all", "not an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
        (encoded(plain())[:50], "cannot be used"),
        (png_of_size(60_000, 60_000), "too many pixels"),
        (png_of_size(2_000_000_000, 2_000_000_000), "too many pixels"),
        (encoded(plain(size=(65, 16))), "65x16 pixels, and 64 a side are the most"),
        (encoded(plain(size=(4, 4))), "too small"),
        (b"\0" * 20_001, "20001 bytes, and 20000 are the most"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_what_cannot_be_used(uploads, data, reason):
    with pytest.raises(BadImage, match="the upload cannot be used: ") as caught:
        uploads.add(data)
    assert reason in str(caught.value)
    assert uploads.ids() == []


@pytest.mark.parametrize("given", ["", "..", "0" * 64, "/etc/passwd", "../" + "0" * 61, "\0" * 64])
def test_only_ids_of_ours_name_an_upload(uploads, given):
    with pytest.raises(DataError, match="no upload has the id"):
        uploads.path(given)


def test_no_link_is_followed(uploads, tmp_path):
    uploads.add(encoded(plain()))
    secret = tmp_path / "secret.png"
    secret.write_bytes(b"secret")
    (uploads.folder / ("0" * 64 + ".png")).symlink_to(secret)
    with pytest.raises(DataError):
        uploads.path("0" * 64)


def test_older_ones_go(uploads):
    ids = [uploads.add(encoded(plain(colour))) for colour in ("red", "green", "blue")]
    uploads.add(encoded(plain("red")))  # again, so that green is the oldest
    new = uploads.add(encoded(plain("white")))
    assert uploads.ids() == [new, ids[0], ids[2]]
