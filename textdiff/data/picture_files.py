"""Single pictures that a user names: read through the guard, written with how they were made."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import PIL.Image
from PIL import ImageOps
from PIL.Image import Image
from PIL.PngImagePlugin import PngInfo

from textdiff.data.config import DataConfig
from textdiff.data.decode import BadImage, open_image
from textdiff.errors import UsageError
from textdiff.files import replacing


def read_picture(flag: str, path: str | Path) -> Image:
    """The picture that a flag names.

    Raises:
        UsageError: no such file. BadImage: one that cannot be used.
    """
    if not Path(path).is_file():
        raise UsageError(f"{flag} {path}: no such file")
    try:
        return open_image(path, DataConfig())
    except BadImage as error:
        raise BadImage(error.reason, f"{flag} {path}") from None


def read_mask(flag: str, path: str | Path) -> Image:
    """The same of a mask, which keeps its transparency."""
    opaque = read_picture(flag, path)
    return open_transparent(Path(path).read_bytes(), DataConfig()) or opaque


def open_transparent(image: bytes, config: DataConfig) -> Image | None:
    """An encoded picture as upright RGBA of its own size; None: it has no transparency.

    Raises:
        BadImage: one that cannot be used.
    """
    open_image(image, config)  # the guard
    with PIL.Image.open(io.BytesIO(image)) as picture:
        if not picture.has_transparency_data:
            return None
        return ImageOps.exif_transpose(picture).convert("RGBA")


def png_bytes(picture: Image, origin: Mapping[str, Any]) -> bytes:
    """A PNG with text chunks `prompt`, a string of `origin`, and `textdiff`, all of it as JSON."""
    info = PngInfo()
    info.add_itxt("prompt", origin["prompt"])
    text = json.dumps(origin, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # a path of bytes that are not UTF-8
        text = json.dumps(origin)
    info.add_itxt("textdiff", text)
    file = io.BytesIO()
    picture.save(file, format="PNG", pnginfo=info)
    return file.getvalue()


def save_png(picture: Image, path: str | Path, origin: Mapping[str, Any]) -> None:
    """Writes what `png_bytes` gives."""
    data = png_bytes(picture, origin)
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def next_number(folder: Path) -> int:
    """One more than the highest number of a picture or a grid there; 0 in an empty one."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    found = [re.match(r"(?:grid-)?(\d{5,})\b", name) for name in names]
    return max((int(match[1]) + 1 for match in found if match), default=0)
