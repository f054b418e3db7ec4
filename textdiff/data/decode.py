"""The one way from an image file to pixels, and its guard.

    bytes or path -> header: format, size within limits -> decode the first frame -> upright by EXIF
                  -> RGB, alpha on white -> square by crop, pad or stretch -> uint8 (3, size, size)

No pixel is decoded before the header is checked, so that a small file cannot ask for gigabytes.
"""

from __future__ import annotations

import io
import logging
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError, features
from torch import Tensor

from textdiff.data.config import DataConfig
from textdiff.data.text import shown
from textdiff.errors import DataError

AVIF = ("AVIF",) if features.check("avif") else ()
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", *AVIF)
SUFFIXES = frozenset(
    {
        *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".bmp", ".dib"),
        *(".tif", ".tiff", *(f".{name.lower()}" for name in AVIF)),
    }
)
# Pictures that people have beside their captions and that we do not read.
OTHER_SUFFIXES = frozenset(
    {
        *(".heic", ".heif", ".avif", ".jxl", ".jp2", ".svg", ".ico", ".psd", ".tga", ".ppm"),
        *(".pgm", ".pbm", ".pnm", ".eps", ".exr", ".hdr", ".raw", ".dng", ".cr2", ".nef", ".arw"),
    }
    - SUFFIXES
)
WHITE = (255, 255, 255)
SNIFFED = 512  # bytes of a file that is no picture
STRIP = 256  # rows that are converted at once
OVERSAMPLING = 2  # of a JPEG that is decoded at a reduced size, before the resize filter


class BadImage(DataError):  # noqa: N818, as much a value to count as an error
    """An image that cannot be used.

    reason: one of a small set of texts, so that images can be counted by it.
    where: file name or row.
    """

    def __init__(self, reason: str, where: str = "image") -> None:
        super().__init__(reason, where)
        self.reason, self.where = reason, where

    def __str__(self) -> str:
        return f"{shown(self.where)} cannot be used: {self.reason}"


def decode_image(image: bytes | str | Path, config: DataConfig) -> Tensor:
    """An encoded image as (3, S, S) uint8, S = config.image_size.

    Raises:
        BadImage: not one of FORMATS, outside the size limits, truncated, or not decodable.
    """
    with _opened(image, config) as opened:
        _decode_reduced(opened, config)
        return to_square(to_rgb(opened), config)


def open_image(image: bytes | str | Path, config: DataConfig) -> Image.Image:
    """An encoded image as upright RGB of its own size. Raises as `decode_image`."""
    with _opened(image, config) as opened:
        return to_rgb(opened)


def to_rgb(image: Image.Image) -> Image.Image:
    """An opened image, upright by its EXIF and its transparency on white. Raises BadImage."""
    try:
        return _on_white(_upright(image))
    except (BadImage, MemoryError):  # the machine's memory says nothing of the image
        raise
    except Exception as error:  # PIL's decoders raise nearly anything on malformed input
        reason = "truncated" if "truncated" in str(error).lower() else "cannot be decoded"
        raise BadImage(reason) from error


def to_square(rgb: Image.Image, config: DataConfig) -> Tensor:
    """An RGB image as (3, S, S) uint8, S = config.image_size, by config.resize and resample."""
    pixels = np.array(_square(rgb, config))
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()


def stated_size(image: bytes | str | Path, config: DataConfig) -> tuple[int, int]:
    """(width, height) by the header, without reading pixels. Raises as `decode_image`."""
    with _opened(image, config) as opened:
        return opened.size


@contextmanager
def _opened(image: bytes | str | Path, config: DataConfig) -> Iterator[Image.Image]:
    """The image with only its header read. Raises BadImage if the header does not pass."""
    with io.BytesIO(image) if isinstance(image, bytes) else _regular_file(image) as file:
        try:
            with warnings.catch_warnings():  # PIL would warn at a limit of its own
                warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                opened = Image.open(file, "r", FORMATS)
        except Image.DecompressionBombError:
            raise BadImage("too many pixels") from None
        except UnidentifiedImageError:
            raise BadImage(_what_it_is(file)) from None
        except MemoryError:  # as in to_rgb
            raise
        except Exception as error:  # as in to_rgb: PIL raises nearly anything
            raise BadImage("unreadable file") from error
        with opened:
            width, height = opened.size
            if width * height > config.max_pixels:
                raise BadImage("too many pixels")
            if min(width, height) < config.min_side:
                raise BadImage("too small")
            yield opened


def _what_it_is(file: IO[bytes]) -> str:
    """The reason that a file which is no picture is refused for."""
    file.seek(0)
    start = file.read(SNIFFED)
    if not start:
        return "empty file"
    if (
        start.lstrip(b"\xef\xbb\xbf \t\r\n")
        .lower()
        .startswith((b"<!doctype html", b"<html", b"<head", b"<body"))
    ):
        return "web page in place of an image"  # what a server sends with an error
    return f"not an image in {', '.join(FORMATS)}"


def _regular_file(path: str | Path) -> IO[bytes]:
    """`path` opened to be read, without waiting for who writes into a pipe. Raises BadImage."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        raise BadImage("missing file") from None
    except (OSError, ValueError) as error:
        raise BadImage("unreadable file") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise BadImage("not a regular file")
    return os.fdopen(descriptor, "rb")


def _decode_reduced(image: Image.Image, config: DataConfig) -> None:
    """Asks a JPEG to decode at 1/2, 1/4 or 1/8 of its size, OVERSAMPLING times what is needed.

    The inverse cosine transform of fewer coefficients costs a fraction of the whole one.
    """
    if config.resample == "nearest":  # takes pixels as they are stored
        return
    side = OVERSAMPLING * config.image_size
    kept = max if config.resize == "pad" else min  # the side that becomes image_size
    scale = side / kept(image.size)
    if scale < 1:
        width, height = image.size
        image.draft(None, (max(1, round(width * scale)), max(1, round(height * scale))))


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    try:
        ImageOps.exif_transpose(image, in_place=True)  # a copy of a large one takes gigabytes
    except MemoryError:
        raise
    except Exception as error:  # a broken EXIF block does not spoil the pixels
        logging.getLogger(__name__).debug("EXIF passed over: %s", error)
    return image


def _on_white(image: Image.Image) -> Image.Image:
    """Any mode -> RGB: 16-bit scaled, palette and CMYK converted, transparency laid on white."""
    if image.mode == "I" or image.mode.startswith("I;16"):
        image = _from_16_bit(image)
    elif image.mode == "F":
        raise BadImage("floating-point pixels")
    if not image.has_transparency_data:
        return image.convert("RGB")
    rgb = Image.new("RGB", image.size)
    for top in range(0, image.height, STRIP):  # copies of all of a large picture take gigabytes
        box = (0, top, image.width, min(top + STRIP, image.height))
        rgba = image.crop(box).convert("RGBA")
        white = Image.new("RGBA", rgba.size, (*WHITE, 255))
        rgb.paste(Image.alpha_composite(white, rgba).convert("RGB"), box)
    return rgb


def _from_16_bit(image: Image.Image) -> Image.Image:
    """Grey 0..65535 -> 0..255, rounded. PIL's own conversion would clip at 255."""
    grey = np.asarray(image)
    if grey.min() < 0 or grey.max() > 65535:
        raise BadImage("32-bit pixels")
    rounded = np.empty(grey.shape, np.uint8)
    for top in range(0, len(grey), STRIP):
        rounded[top : top + STRIP] = (grey[top : top + STRIP].astype(np.int64) + 128) // 257
    return Image.fromarray(rounded)


def _square(image: Image.Image, config: DataConfig) -> Image.Image:
    size = (config.image_size, config.image_size)
    resample = Image.Resampling[config.resample.upper()]
    if config.resize == "crop":  # cut first, so that a thin strip is never blown up
        return ImageOps.fit(image, size, method=resample)
    if config.resize == "stretch":
        return image.resize(size, resample)
    scale = config.image_size / max(image.size)
    width, height = (max(1, round(side * scale)) for side in image.size)
    padded = Image.new("RGB", size, (config.pad_level,) * 3)
    corner = (size[0] - width) // 2, (size[1] - height) // 2
    padded.paste(image.resize((width, height), resample), corner)
    return padded
