"""Resized pixels on disk, so that each picture is decoded once and read from memory ever after.

    <cache>/pixels-<key>/images.npy  (N, 3, S, S) uint8, a row per entry of the source

The key covers names, sizes and times of change of the files, and all settings that decide how a
picture looks. See `data.row_cache`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, runtime_checkable

import PIL
from torch import Tensor

from textdiff.cores import usable_cores
from textdiff.data.config import DataConfig
from textdiff.data.decode import OVERSAMPLING, BadImage
from textdiff.data.entries import Entry
from textdiff.data.row_cache import RowCache

FORMAT = 2  # raise it when what stands in a cache changes its meaning
LOOKS = ("image_size", "resize", "resample", "min_side", "max_pixels", "outside_files")


@runtime_checkable
class Versioned(Protocol):
    """A `Source` whose pictures are worth keeping resized: `version` changes when they may have."""

    entries: list[Entry]

    def version(self) -> str: ...


class PixelCache(RowCache):
    """The pictures of one source at one size."""

    def fill(
        self,
        rows: Sequence[int],
        read: Callable[[int], Tensor],
        note_bad: Callable[[dict[int, str]], None],
    ) -> None:
        """Fills those of `rows` that are missing, on all cores.

        Args:
            read: a row's picture (3, S, S) uint8; raises BadImage.
            note_bad: takes rows that cannot be read, with their reasons, as soon as they are met.

        Raises:
            DataError: the disk is full, or what else keeps rows from being written.
        """
        doing = "resizing pictures into the cache"
        with self.filling(rows, doing) as chunks, ThreadPoolExecutor(usable_cores()) as pool:
            for chunk in chunks:
                pictures, bad = read_all(pool, chunk, read)
                self.write(list(pictures), [picture.numpy() for picture in pictures.values()])
                if bad:
                    note_bad(bad)


def read_all(
    pool: Executor, rows: Sequence[int], read: Callable[[int], Tensor]
) -> tuple[dict[int, Tensor], dict[int, str]]:
    """By row: the pictures, and the reasons of those that cannot be read.

    read: raises BadImage.
    """

    def attempt(row: int) -> Tensor | str:
        try:
            return read(row)
        except BadImage as error:
            return error.reason

    results = dict(zip(rows, pool.map(attempt, rows), strict=True))
    bad = {row: result for row, result in results.items() if isinstance(result, str)}
    pictures = {row: result for row, result in results.items() if isinstance(result, Tensor)}
    return pictures, bad


def cache_for(source: Versioned, config: DataConfig) -> PixelCache:
    """The cache of a source's pictures as `config` makes them. Raises DataError."""
    names = [entry.identifier for entry in source.entries]
    looks = {name: getattr(config, name) for name in LOOKS}
    content = [FORMAT, PIL.__version__, OVERSAMPLING, looks, names, source.version()]
    key = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
    side = config.image_size
    return PixelCache(cache_root(config) / f"pixels-{key}", (len(names), 3, side, side))


def cache_root(config: DataConfig) -> Path:
    root = config.cache_dir or os.environ.get("TEXTDIFF_CACHE") or "~/.cache/textdiff"
    return Path(root).expanduser()


def free_bytes(config: DataConfig) -> int:
    """Where the cache is, or will be."""
    root = cache_root(config).absolute()
    return shutil.disk_usage(next(p for p in (root, *root.parents) if p.exists())).free
