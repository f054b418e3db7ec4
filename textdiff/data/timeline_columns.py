"""The pictures of a run's prompts at each of its evaluations, one small file for each.

samples/timeline/step-000500.png   each prompt's picture, one below the other; the prompts as JSON
                                   in its chunk "prompts"

A training writes them; `samples/timeline.png` and reports are made of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from textdiff.files import replacing

T = TypeVar("T")
SIDE = 96  # pictures are kept at most so large


@dataclass(frozen=True)
class Column:
    """One picture of each prompt."""

    prompts: list[str]
    pictures: list[Image.Image]


def column_files(folder: Path) -> Iterator[tuple[int, Path]]:
    """(step, file), in order of the steps."""
    named = ((re.fullmatch(r"step-(\d+)\.png", file.name), file) for file in folder.glob("*.png"))
    yield from sorted((int(match[1]), file) for match, file in named if match)


def write_column(file: Path, images: Sequence[Image.Image], prompts: Sequence[str]) -> None:
    """images: one per prompt, all of one size."""
    small = [image.convert("RGB") for image in images]
    for image in small:
        image.thumbnail((SIDE, SIDE))
    width, height = small[0].size
    column = Image.new("RGB", (width, height * len(small)))
    for row, image in enumerate(small):
        column.paste(image, (0, row * height))
    info = PngInfo()
    info.add_text("prompts", json.dumps(list(prompts)))
    with replacing(file) as temporary:
        column.save(temporary, pnginfo=info)


def read_column(file: Path) -> Column | None:
    """None where it cannot be read."""
    try:
        with Image.open(file, formats=("PNG",)) as column:
            column.load()
            prompts = json.loads(column.info.get("prompts", "null"))
            if not prompts or not all(isinstance(prompt, str) for prompt in prompts):
                return None
            height = column.height // len(prompts)
            tops = range(0, height * len(prompts), height)
            return Column(
                prompts, [column.crop((0, top, column.width, top + height)) for top in tops]
            )
    except (OSError, ValueError, SyntaxError, TypeError, RecursionError):
        return None


def evenly_spaced(items: Sequence[T], count: int) -> list[T]:
    """At most `count` of them, the first and the last among them."""
    if len(items) <= count:
        return list(items)
    return [items[round(k * (len(items) - 1) / (count - 1))] for k in range(count)]
