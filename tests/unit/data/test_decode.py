"""The decode guard, on files made on the fly."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from textdiff.data import BadImage, DataConfig, decode_image
from textdiff.data.decode import FORMATS, STRIP, stated_size, to_rgb

PLAIN = DataConfig(image_size=8, resample="nearest", min_side=4)


def encoded(image: Image.Image, fmt: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, fmt, **options)
    return file.getvalue()


def colour(image: torch.Tensor) -> list[int]:
    """The one colour of an image."""
    assert (image == image[:, :1, :1]).all()
    return image[:, 0, 0].tolist()


@pytest.mark.parametrize("fmt", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_every_allowed_format(fmt):
    red = decode_image(encoded(Image.new("RGB", (16, 16), (250, 0, 0)), fmt), PLAIN)
    assert red.shape == (3, 8, 8)
    assert red.dtype == torch.uint8
    torch.testing.assert_close(
        red.float().mean((1, 2)), torch.tensor([250.0, 0.0, 0.0]), atol=6, rtol=0
    )


def test_a_path_reads_as_its_bytes(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a.png")
    assert torch.equal(
        decode_image(tmp_path / "a.png", PLAIN), torch.from_numpy(noise).permute(2, 0, 1)
    )


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [
        ("L", 77, [77] * 3),
        ("1", 1, [255] * 3),
        ("I;16", 65535, [255] * 3),
        ("I;16", 257 * 100, [100] * 3),
        ("LA", (0, 0), [255] * 3),
        ("RGBA", (200, 0, 0, 0), [255] * 3),
        ("RGBA", (0, 0, 0, 51), [204] * 3),
        ("RGBA", (10, 20, 30, 255), [10, 20, 30]),
    ],
)
def test_modes_become_rgb_on_white(mode, value, expected):
    image = Image.new(mode, (8, 8), value)
    assert colour(decode_image(encoded(image), PLAIN)) == expected


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_strips_of_a_large_picture_are_those_of_the_whole(mode):
    """Also the last one, which is lower."""
    noise = np.random.default_rng(0).integers(0, 256, (2 * STRIP + 7, 9, 4), np.uint8)
    image = Image.fromarray(noise).convert(mode)
    if mode == "P":
        image.info["transparency"] = bytes(range(256))
    rgba = image.convert("RGBA")
    white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
    expected = Image.alpha_composite(white, rgba).convert("RGB")
    assert np.array_equal(np.asarray(to_rgb(image)), np.asarray(expected))


def test_every_grey_of_16_bits_is_rounded_to_the_nearest():
    grey = np.arange(65536, dtype=np.uint16).reshape(1024, 64)
    found = np.asarray(to_rgb(Image.fromarray(grey)))
    assert np.array_equal(found[..., 0], np.round(grey / 257).astype(np.uint8))


def test_cmyk():
    cyan = encoded(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), "TIFF")
    assert colour(decode_image(cyan, PLAIN)) == [0, 255, 255]


def test_transparent_palette_entry_is_white():
    image = Image.new("P", (8, 8), 3)
    image.putpalette([10, 20, 30] * 256)
    assert colour(decode_image(encoded(image), PLAIN)) == [10, 20, 30]
    assert colour(decode_image(encoded(image, transparency=3), PLAIN)) == [255] * 3


def test_first_frame_of_an_animation():
    frames = [Image.new("RGB", (8, 8), c) for c in ((255, 0, 0), (0, 0, 255))]
    gif = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert colour(decode_image(gif, PLAIN)) == [255, 0, 0]


def test_exif_orientation_turns_the_picture():
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:, :4] = 255  # left half white
    exif = Image.Exif()
    exif[0x0112] = 6  # turn 90 degrees clockwise: left becomes top
    image = decode_image(encoded(Image.fromarray(pixels), exif=exif), PLAIN)
    assert (image[:, :4] == 255).all()
    assert (image[:, 4:] == 0).all()


def test_a_broken_exif_block_does_not_spoil_the_pixels(monkeypatch):
    def broken(*_arguments, **_keywords):
        raise struct.error("unpack requires a buffer of 2 bytes")

    monkeypatch.setattr("textdiff.data.decode.ImageOps.exif_transpose", broken)
    assert colour(decode_image(encoded(Image.new("RGB", (8, 8), "red")), PLAIN)) == [255, 0, 0]


@pytest.mark.parametrize("call", ["Image.open", "ImageOps.exif_transpose"])
def test_want_of_memory_is_no_fault_of_the_image(monkeypatch, call):
    """It would be replaced on one machine, and turned the wrong way on another."""

    def short(*_arguments, **_keywords):
        raise MemoryError

    monkeypatch.setattr(f"textdiff.data.decode.{call}", short)
    with pytest.raises(MemoryError):
        decode_image(encoded(Image.new("RGB", (8, 8))), PLAIN)


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    def denied(*_arguments):
        raise PermissionError

    (tmp_path / "a.png").write_bytes(encoded(Image.new("RGB", (8, 8))))
    monkeypatch.setattr("textdiff.data.decode.os.open", denied)
    with pytest.raises(BadImage) as error:
        decode_image(tmp_path / "a.png", PLAIN)
    assert error.value.reason == "unreadable file"


def test_resize_modes_of_a_wide_picture():
    pixels = np.zeros((8, 24, 3), np.uint8)
    pixels[:, 8:16] = 200  # the middle third
    wide = encoded(Image.fromarray(pixels))
    cropped = decode_image(wide, PLAIN)
    assert colour(cropped) == [200] * 3
    padded = decode_image(wide, PLAIN.model_copy(update={"resize": "pad"}))
    assert (padded[:, 0] == 255).all() and (padded[:, -1] == 255).all()
    assert (padded[:, 4, 0] == 0).all()
    stretched = decode_image(wide, PLAIN.model_copy(update={"resize": "stretch"}))
    assert (stretched[:, :, 0] == 0).all() and (stretched[:, :, 4] == 200).all()


def test_a_thin_strip_is_not_blown_up_before_the_crop():
    strip = encoded(Image.new("L", (40_000, 4), 9))
    assert colour(decode_image(strip, DataConfig(image_size=256, min_side=4))) == [9] * 3


def reason(data: bytes, config: DataConfig = PLAIN) -> str:
    with pytest.raises(BadImage) as caught:
        decode_image(data, config)
    return caught.value.reason


def test_truncated_files():
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8))
    others = {"WEBP": "unreadable file", "AVIF": f"not an image in {', '.join(FORMATS)}"}
    for fmt in FORMATS:
        data = encoded(noise, fmt)
        assert reason(data[: len(data) // 2]) == others.get(fmt, "truncated")


def test_not_an_image():
    assert reason(b"<svg xmlns='http://www.w3.org/2000/svg'/>").startswith("not an image")
    assert reason(b" ").startswith("not an image")


def test_what_stands_in_place_of_an_image():
    assert reason(b"") == "empty file"
    for page in (b"<!DOCTYPE html><title>404</title>", b"\xef\xbb\xbf\n <HTML>"):
        assert reason(page) == "web page in place of an image"


def test_formats_outside_the_list_are_refused():
    assert reason(encoded(Image.new("RGB", (8, 8)), "PPM")).startswith("not an image")


def test_size_limits_come_from_the_header():
    assert reason(encoded(Image.new("L", (3, 40)))) == "too small"
    assert (
        reason(encoded(Image.new("L", (40, 40))), DataConfig(max_pixels=1599)) == "too many pixels"
    )
    assert decode_image(encoded(Image.new("L", (40, 40))), DataConfig(max_pixels=1600)) is not None


@pytest.mark.parametrize("side", [12_000, 60_000])
def test_a_bomb_is_refused_without_decoding(side):
    """A PNG of 57 bytes of header and almost no data, which states 144 or 3600 megapixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return len(data).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")

    header = side.to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0"))
    assert reason(bomb + chunk(b"IEND", b"")) == "too many pixels"


def test_floating_point_pixels_are_refused():
    assert reason(encoded(Image.new("F", (8, 8), 0.5), "TIFF")) == "floating-point pixels"


def test_missing_file(tmp_path):
    with pytest.raises(BadImage, match="missing file"):
        decode_image(tmp_path / "none.png", PLAIN)


def test_stated_size_is_before_resizing():
    assert stated_size(encoded(Image.new("L", (30, 20))), PLAIN) == (30, 20)


def test_only_regular_files_are_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", "/dev/zero", tmp_path):
        with pytest.raises(BadImage, match="not a regular file"):
            decode_image(path, PLAIN)


def photo(width: int, height: int) -> Image.Image:
    """Smooth, as photographs are, and different everywhere."""
    y, x = np.mgrid[:height, :width] / max(width, height)
    waves = [np.sin(9 * x + 5 * y), np.cos(7 * y), np.sin(8 * x * y + 1)]
    return Image.fromarray(np.uint8(128 + 100 * np.stack(waves, -1)))


@pytest.mark.parametrize("resize", ["crop", "pad", "stretch"])
@pytest.mark.parametrize("size", [(1600, 1200), (300, 1600), (70, 60)])
def test_a_jpeg_decoded_reduced_looks_as_decoded_whole(resize, size, monkeypatch):
    config = DataConfig(image_size=32, resize=resize)
    jpeg = encoded(photo(*size), "JPEG", quality=95)
    reduced = decode_image(jpeg, config)
    monkeypatch.setattr("textdiff.data.decode._decode_reduced", lambda *_: None)
    whole = decode_image(jpeg, config)
    difference = (reduced.float() - whole.float()).abs()
    assert difference.mean() < 1.5 and difference.max() < 24


def test_a_jpeg_is_decoded_at_the_size_that_is_needed(monkeypatch):
    sizes = []
    monkeypatch.setattr(
        "textdiff.data.decode.to_rgb", lambda image: sizes.append(image.size) or image
    )
    jpeg = encoded(photo(1600, 1200), "JPEG")
    decode_image(jpeg, DataConfig(image_size=32))
    decode_image(jpeg, DataConfig(image_size=32, resample="nearest"))
    decode_image(jpeg, DataConfig(image_size=512))
    assert sizes == [(200, 150), (1600, 1200), (1600, 1200)]
