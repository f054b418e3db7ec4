"""How the pictures of a run came to be: a strip per prompt, a column per evaluation.

samples/timeline/step-000500.png   each prompt's picture, one below the other, small
samples/timeline.png               these as strips: written anew from those files, so that a resumed
                                   run has the same
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from textdiff.data.grid import labelled_grid, stacked
from textdiff.files import replacing

T = TypeVar("T")
SIDE = 96  # pictures are kept at most so large
COLUMNS = 12  # at most; of more, evenly spaced ones and the last


def add_to_timeline(
    samples: Path, step: int, images: Sequence[Image.Image], prompts: Sequence[str]
) -> None:
    """Adds the pictures of `step`. Those of later steps, which a run had before it was killed and
    resumed, are dropped, and those of other prompts left out.

    Args:
        samples: folder of the run.
        images: one per prompt, all of one size.
    """
    folder = samples / "timeline"
    for later, file in _columns(folder):
        if later > step:
            file.unlink()
    _write_column(folder / f"step-{step:06d}.png", images, prompts)
    columns = [
        (at, pictures) for at, file in _columns(folder) if (pictures := _read(file, prompts))
    ]
    shown = evenly_spaced(columns, COLUMNS)
    labels = [f"step {at:,}" for at, _ in shown]
    strips = [
        labelled_grid([pictures[row] for _, pictures in shown], labels, len(shown), prompt)
        for row, prompt in enumerate(prompts)
    ]
    with replacing(samples / "timeline.png") as temporary:
        stacked(strips).save(temporary)


def evenly_spaced(items: Sequence[T], count: int) -> list[T]:
    """At most `count` of them, the first and the last among them."""
    if len(items) <= count:
        return list(items)
    return [items[round(k * (len(items) - 1) / (count - 1))] for k in range(count)]


def _columns(folder: Path) -> Iterator[tuple[int, Path]]:
    """(step, file), in order of the steps."""
    named = ((re.fullmatch(r"step-(\d+)\.png", file.name), file) for file in folder.glob("*.png"))
    yield from sorted((int(match[1]), file) for match, file in named if match)


def _write_column(file: Path, images: Sequence[Image.Image], prompts: Sequence[str]) -> None:
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


def _read(file: Path, prompts: Sequence[str]) -> list[Image.Image] | None:
    """None where it holds other prompts' pictures, or cannot be read."""
    try:
        with Image.open(file, formats=("PNG",)) as column:
            column.load()
            told = json.loads(column.info.get("prompts", "null"))
            if told != list(prompts):
                return None
            height = column.height // len(prompts)
            tops = range(0, height * len(prompts), height)
            return [column.crop((0, top, column.width, top + height)) for top in tops]
    except (OSError, ValueError, SyntaxError):
        return None
