"""A folder of pictures that `textdiff sample` drew: the PNGs hold their prompts.

A picture without a prompt of its own, such as the grid of all of them, is none of them. Captions
beside the pictures (a metadata file, .txt files) make it an image folder like any other.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from PIL import Image
from torch import Tensor

from textdiff.data.config import DataConfig
from textdiff.data.decode import decode_image, stated_size
from textdiff.data.entries import Entry, choose
from textdiff.errors import DataError

PROMPT, ORIGIN = "prompt", "textdiff"  # text chunks, see picture_files.save_png
CAPTIONS = ("metadata.jsonl", "metadata.csv", "*.txt")


class DrawnPictures:
    """A `Source` of the drawn pictures in a folder, without its sub-folders."""

    entries: list[Entry]
    attribution: str | None = None

    def __init__(self, config: DataConfig) -> None:
        self._root = Path(config.source).expanduser()
        self._config = config
        prompts = {path.name: prompt_of(path) for path in pictures_in(self._root)}
        drawn = [Entry(name, (text,), name) for name, text in prompts.items() if text is not None]
        if not drawn:
            raise DataError(
                f"{self._root} holds no PNG with a prompt inside, as 'sample' writes it"
            )
        self.entries = choose(drawn, config.max_images)

    def read(self, index: int) -> Tensor:
        return decode_image(self._path(index), self._config)

    def files(self, indices: Sequence[int]) -> list[Path]:
        return [self._path(index) for index in indices]

    def version(self) -> str:
        """Changes with any file's size or time of change."""
        states = [self._path(index).stat() for index in range(len(self.entries))]
        numbers = [(state.st_size, state.st_mtime_ns) for state in states]
        return hashlib.sha256(json.dumps(numbers).encode()).hexdigest()

    def original_size(self, index: int) -> tuple[int, int]:
        return stated_size(self._path(index), self._config)

    def _path(self, index: int) -> Path:
        return self._root / self.entries[index].identifier


def is_drawn(folder: str | Path) -> bool:
    """Whether a folder has drawn pictures and no captions beside them."""
    root = Path(folder).expanduser()
    if not root.is_dir() or any(path for name in CAPTIONS for path in root.glob(name)):
        return False
    return any(prompt_of(path) is not None for path in pictures_in(root))


def pictures_in(root: Path) -> list[Path]:
    """PNGs by name; no links, which may lead anywhere."""
    if not root.is_dir():
        raise DataError(f"image folder {root} does not exist")
    return sorted(path for path in root.glob("*.png") if path.is_file() and not path.is_symlink())


def prompt_of(path: Path) -> str | None:
    """What a drawn PNG was drawn for; None: it was not drawn here, or cannot be read."""
    try:
        with Image.open(path, formats=("PNG",)) as picture:  # reads up to the first pixels
            text = picture.info.get(PROMPT) if ORIGIN in picture.info else None
    except Exception:  # PIL raises nearly anything on malformed input
        return None
    return text if isinstance(text, str) else None
