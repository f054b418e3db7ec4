"""Resized pixels on disk, so that each picture is decoded once and read from memory ever after.

    <cache>/pixels-<key>/images.npy, sums.npy  a row per entry of the source, see `pixel_file`
                         done.npy              (N,) uint8, 1: this row holds its picture

The key covers names, sizes and times of change of the files, and all settings that decide how a
picture looks. Rows are marked after their pixels are on disk, so that a fill that was stopped goes
on where it was. Rows that no split asks for stay holes in the file and take no space. One that the
disk has spoilt counts as missing: its picture is decoded again.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import PIL
from torch import Tensor
from tqdm import tqdm

from textdiff.cores import usable_cores
from textdiff.data.config import DataConfig
from textdiff.data.decode import OVERSAMPLING, BadImage
from textdiff.data.entries import Entry
from textdiff.data.made_once import make_once
from textdiff.data.pixel_file import (
    DamagedRowError,
    PixelFile,
    Shape,
    make_array,
    make_pixel_file,
    mapped,
    write_rows,
)
from textdiff.errors import DataError
from textdiff.locks import locked

DONE = "done.npy"
FORMAT = 2  # raise it when what stands in a cache changes its meaning
CHUNK = 128  # pictures between two flushes
LOOKS = ("image_size", "resize", "resample", "min_side", "max_pixels", "outside_files")


@runtime_checkable
class Versioned(Protocol):
    """A `Source` whose pictures are worth keeping resized: `version` changes when they may have."""

    entries: list[Entry]

    def version(self) -> str: ...


class PixelCache:
    """The pictures of one source at one size. Pickled as the name of its folder."""

    def __init__(self, folder: Path, shape: Shape) -> None:
        """Makes the folder unless it is there.

        Raises:
            DataError: it cannot be made or used.
        """
        self.folder = folder
        self._damaged: set[int] = set()  # rows
        try:
            make_once(folder, lambda staging: _make(staging, shape))
            self._pixels = PixelFile(folder, shape)
            if mapped(folder / DONE).shape != shape[:1]:
                raise ValueError(f"{DONE} of another shape")
        except OSError as error:
            raise _unusable(folder, error) from None
        except ValueError as error:
            raise DataError(f"{folder} is damaged ({error}): delete it and start again") from None

    def get(self, row: int) -> Tensor | None:
        """(3, S, S) uint8; None if this row has not been filled, or is damaged."""
        if not mapped(self.folder / DONE)[row]:
            return None
        try:
            return self._pixels[row]
        except DamagedRowError as error:
            if row not in self._damaged:
                self._damaged.add(row)
                logging.getLogger(__name__).warning("%s: its picture is decoded again", error)
            return None

    def missing(self, rows: Sequence[int]) -> list[int]:
        """Those that have not been filled."""
        done = mapped(self.folder / DONE)
        return [row for row in rows if not done[row]]

    def fill(
        self,
        rows: Sequence[int],
        read: Callable[[int], Tensor],
        note_bad: Callable[[dict[int, str]], None],
    ) -> None:
        """Fills those of `rows` that are missing, on all cores, with a progress bar.

        Several processes may ask for it: one fills, the others wait.

        Args:
            read: a row's picture (3, S, S) uint8; raises BadImage.
            note_bad: takes rows that cannot be read, with their reasons, as soon as they are met.

        Raises:
            DataError: the disk is full, or what else keeps rows from being written.
        """

        def attempt(row: int) -> Tensor | str:
            try:
                return read(row)
            except BadImage as error:
                return error.reason

        with locked(self.folder / "lock", wait=True), ThreadPoolExecutor(usable_cores()) as pool:
            missing = self.missing(rows)
            if not missing:
                return
            with tqdm(
                total=len(rows),
                initial=len(rows) - len(missing),
                desc="resizing pictures into the cache",
                unit="picture",
                leave=False,
                disable=None,
            ) as bar:
                for first in range(0, len(missing), CHUNK):
                    chunk = missing[first : first + CHUNK]
                    filled, bad = {}, {}
                    for row, result in zip(chunk, pool.map(attempt, chunk), strict=True):
                        if isinstance(result, str):
                            bad[row] = result
                        else:
                            filled[row] = result.numpy()
                    try:
                        self._pixels.write(filled)
                        write_rows(self.folder / DONE, dict.fromkeys(filled, 1))
                    except OSError as error:
                        raise _unusable(self.folder, error) from None
                    bar.update(len(chunk))
                    if bad:
                        note_bad(bad)


def _unusable(folder: Path, error: OSError) -> DataError:
    return DataError(
        f"cache folder {folder.parent} cannot be used: {error}; set data.cache_dir or "
        "TEXTDIFF_CACHE to a folder that can be written, or data.cache to off"
    )


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


def _make(folder: Path, shape: Shape) -> None:
    """Empty arrays, of holes."""
    make_pixel_file(folder, shape)
    make_array(folder / DONE, np.uint8, shape[:1])
