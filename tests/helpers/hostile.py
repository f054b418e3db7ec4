"""A folder of captioned pictures among which every kind of bad file and row is met.

kind, number ──► files and rows of metadata.jsonl, and the reason that they are refused for, if any
"""

from __future__ import annotations

import io
import json
import os
import struct
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from textdiff.data.decode import FORMATS

NOT_AN_IMAGE = f"not an image in {', '.join(FORMATS)}"
PAGE = b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head><body>gone</body></html>"


@dataclass(frozen=True)
class Made:
    """content: by name of a file in the folder. rows: of metadata.jsonl, as bytes. reasons: that
    the files and rows are refused for."""

    content: dict[str, bytes]
    rows: list[bytes]
    reasons: list[str]


def colour(number: int) -> tuple[int, int, int]:
    """Another for each number below 65,536."""
    return number % 256, number // 256 % 256, 128


def encoded(image: Image.Image, form: str, **settings: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **settings)
    return file.getvalue()


def png(number: int, size: tuple[int, int] = (24, 24), mode: str = "RGB") -> bytes:
    image = Image.new("RGB", size, colour(number))
    return encoded(image.convert(mode, palette=Image.Palette.ADAPTIVE), "PNG")


@cache
def noise(form: str) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    return encoded(Image.fromarray(pixels), form)


def stated_png(width: int, height: int, pixels: bytes = b"") -> bytes:
    """A PNG whose header states a size that its pixels need not have."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        whole = kind + data
        return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def tiff(dtype: type, value: float) -> bytes:
    return encoded(Image.fromarray(np.full((24, 24), value, dtype)), "TIFF")


def cmyk(number: int) -> bytes:
    return encoded(Image.new("CMYK", (24, 24), (*colour(number), 9)), "JPEG")


def grey_of_16_bits(number: int) -> bytes:
    return encoded(Image.fromarray(np.full((24, 24), 500 * number % 65_536, np.uint16)), "PNG")


def turned(number: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(Image.new("RGB", (24, 30), colour(number)), "PNG", exif=exif)


def animated(number: int) -> bytes:
    frames = [Image.new("RGB", (24, 24), colour(number + k)) for k in (0, 1)]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


def row(name: str, text: Any = "a picture", **columns: Any) -> bytes:
    return json.dumps({"file_name": name, "text": text, **columns}).encode()


def picture(suffix: str, content: Callable[[int], bytes], *reasons: str) -> Callable[..., Made]:
    """A kind whose pictures are `content` of their number."""

    def make(name: str, number: int) -> Made:
        file = f"{name}{suffix}"
        return Made({file: content(number)}, [row(file)], list(reasons))

    return make


def caption(text: Any, *reasons: str) -> Callable[..., Made]:
    """A kind of good pictures whose captions are `text`."""

    def make(name: str, number: int) -> Made:
        return Made({f"{name}.png": png(number)}, [row(f"{name}.png", text)], list(reasons))

    return make


def lines(
    *rows: Callable[[str], bytes], reasons: list[str], file: bool = False
) -> Callable[..., Made]:
    """A kind of `rows` of a name, with a picture of that name or without."""

    def make(name: str, number: int) -> Made:
        name = f"{name}.png"
        return Made({name: png(number)} if file else {}, [each(name) for each in rows], reasons)

    return make


BAD: dict[str, Callable[..., Made]] = {
    "truncated jpeg": picture(".jpg", lambda _: noise("JPEG")[:-900], "truncated"),
    "truncated png": picture(".png", lambda _: noise("PNG")[:-900], "truncated"),
    "empty file": picture(".png", lambda _: b"", "empty file"),
    "text": picture(".png", lambda _: b"not a picture", NOT_AN_IMAGE),
    "page": picture(".jpg", lambda _: PAGE, "web page in place of an image"),
    "no pixels": picture(".png", lambda _: stated_png(0, 0), NOT_AN_IMAGE),
    "bomb": picture(".png", lambda _: stated_png(40_000, 40_000), "too many pixels"),
    "small": picture(".png", lambda k: png(k, (3, 24)), "too small"),
    "torn": picture(".png", lambda _: stated_png(24, 24, b"\x09" * 9), "truncated"),
    "float": picture(".tif", lambda _: tiff(np.float32, 0.5), "floating-point pixels"),
    "deep": picture(".tif", lambda _: tiff(np.int32, 70_000), "32-bit pixels"),
    "missing": lines(row, reasons=["missing file"]),
    "no file name": lines(lambda _: b'{"file_name": "", "text": "a"}', reasons=["no file name"]),
    "no text": lines(
        lambda n: row(n).replace(b'"text"', b'"x"'), reasons=["missing column"], file=True
    ),
    "nan": caption(float("nan"), "no caption"),
    "null": caption(None, "no caption"),
    "blank": caption(" \n", "no caption"),
    "controls alone": caption("\x00\x1b\ufeff", "no caption"),
    "not utf-8": lines(
        lambda n: row(n).replace(b"picture", b"caf\xe9"), reasons=["not UTF-8"], file=True
    ),
    "half a row": lines(lambda n: row(n)[:-5], reasons=["not JSON"]),
    "no row": lines(reasons=["no caption"], file=True),
    "above": lines(lambda n: row(f"../{Path(n).name}"), reasons=["file outside the folder"]),
    "absolute": lines(lambda n: row("/etc/hostname"), reasons=["file outside the folder"]),
    "unknown split": lines(partial(row, split="nowhere"), reasons=["unknown split"], file=True),
    "two splits": lines(
        partial(row, split="train"),
        partial(row, split="test"),
        reasons=["listed with two splits"],
        file=True,
    ),
}
GOOD: dict[str, Callable[..., Made]] = {
    "plain": picture(".png", png),
    "cmyk": picture(".jpg", cmyk),
    "grey of 16 bits": picture(".png", grey_of_16_bits),
    "alike": picture(".png", lambda _: png(65_535)),
    "palette": picture(".png", lambda k: png(k, mode="P")),
    "transparent": picture(".png", lambda k: png(k, mode="RGBA")),
    "animated": picture(".gif", animated),
    "turned": picture(".png", turned),
    "strip": picture(".png", lambda k: png(k, (8, 1600))),
    "long caption": caption("word " * 2000),
    "right to left": caption("\u05ea\u05e4\u05d5\u05d7 \u0623\u062d\u0645\u0631"),
    "emoji": caption("\U0001f469\u200d\U0001f680 rocket"),
    "controls": caption("a\x00 \x1b[31mred\x1b[0m apple\x07"),
    "byte order mark": caption("\ufeffa red apple"),
    "markup": caption("<script>alert(1)</script> [red]{{ 7 * 7 }}"),
    "several captions": caption(["a red apple", "an apple"]),
}


def linked_out(folder: Path, name: str, outside: Path) -> list[str]:
    (folder / f"{name}.png").symlink_to(outside)
    return ["link out of the folder"]


def piped(folder: Path, name: str, outside: Path) -> list[str]:
    os.mkfifo(folder / f"{name}.png")
    return ["not a regular file"]


def a_folder(folder: Path, name: str, outside: Path) -> list[str]:
    (folder / f"{name}.png").mkdir()
    return ["folder in place of an image"]


# what is no file: made, and named by a row unless it is a link
PLACED = {"link out": linked_out, "pipe": piped, "folder.png": a_folder}
KINDS = len(BAD) + len(PLACED)


def write_hostile(folder: Path, *, each: int, good: int) -> Counter[str]:
    """`each` of every kind, and `good` plain pictures besides, in the new `folder`; beside it a
    picture that is out of it. Returns how many are to be refused, by reason."""
    outside = folder.parent / "outside.png"
    outside.write_bytes(png(0))
    reasons: Counter[str] = Counter()
    rows: list[bytes] = []
    for number, (kind, make) in enumerate(_all(each, good)):
        place = f"{kind.replace(' ', '_')}/{number:06d}"
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        if kind in PLACED:
            reasons.update(PLACED[kind](folder, place, outside))
            rows += [] if kind == "link out" else [row(f"{place}.png")]
            continue
        made = make(place, number)
        for name, content in made.content.items():
            (folder / name).write_bytes(content)
        rows += made.rows
        reasons.update(made.reasons)
    (folder / "metadata.jsonl").write_bytes(b"\n".join(rows) + b"\n")
    return reasons


def _all(each: int, good: int) -> Iterator[tuple[str, Any]]:
    """(kind, its maker), mixed: not first all of one kind, then all of the next."""
    kinds = {**BAD, **GOOD, **dict.fromkeys(PLACED)}
    for _ in range(each):
        yield from kinds.items()
    yield from (("plain", GOOD["plain"]) for _ in range(good))
