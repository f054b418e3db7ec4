"""Resized pixels on disk, so that each picture is decoded once and read from memory ever after.

    <cache>/pixels-<key>/images.npy  (N, 3, S, S) uint8, a row per entry of the source
                         done.npy    (N,) uint8, 1: this row holds its picture

The key covers names, sizes and times of change of the files, and all settings that decide how a
picture looks. Rows are marked after their pixels are on disk, so that a fill that was stopped goes
on where it was. Rows that no split asks for stay holes in the file and take no space.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import PIL
import torch
from torch import Tensor
from tqdm import tqdm

from textdiff.cores import usable_cores
from textdiff.data.config import DataConfig
from textdiff.data.decode import OVERSAMPLING, BadImage
from textdiff.data.entries import Entry
from textdiff.errors import DataError

CHUNK = 128  # pictures between two flushes
LOOKS = ("image_size", "resize", "resample", "min_side", "max_pixels", "outside_files")


@runtime_checkable
class Versioned(Protocol):
    """A `Source` whose pictures are worth keeping resized: `version` changes when they may have."""

    entries: list[Entry]

    def version(self) -> str: ...


class PixelCache:
    """The pictures of one source at one size. Pickled as the name of its folder."""

    def __init__(self, folder: Path, shape: tuple[int, int, int, int]) -> None:
        """Makes the folder unless it is there.

        Raises:
            DataError: it cannot be made or used.
        """
        self.folder = folder
        try:
            if not folder.is_dir():
                _make(folder, shape)
            if _array(str(folder / "images.npy"), "r").shape != shape:
                raise ValueError("another shape")
        except OSError as error:
            raise DataError(
                f"cache folder {folder.parent} cannot be used: {error}; set data.cache_dir or "
                "TEXTDIFF_CACHE to a folder that can be written, or data.cache to off"
            ) from None
        except ValueError as error:
            raise DataError(f"{folder} is damaged ({error}): delete it and start again") from None

    def get(self, row: int) -> Tensor | None:
        """(3, S, S) uint8; None if this row has not been filled."""
        if not _array(str(self.folder / "done.npy"), "r")[row]:
            return None
        return torch.from_numpy(np.array(_array(str(self.folder / "images.npy"), "r")[row]))

    def missing(self, rows: Sequence[int]) -> list[int]:
        done = _array(str(self.folder / "done.npy"), "r")
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
        """

        def attempt(row: int) -> Tensor | str:
            try:
                return read(row)
            except BadImage as error:
                return error.reason

        with _locked(self.folder / "lock"), ThreadPoolExecutor(usable_cores()) as pool:
            missing = self.missing(rows)
            if not missing:
                return
            images = _array(str(self.folder / "images.npy"), "r+")
            done = _array(str(self.folder / "done.npy"), "r+")
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
                    filled, bad = [], {}
                    for row, result in zip(chunk, pool.map(attempt, chunk), strict=True):
                        if isinstance(result, str):
                            bad[row] = result
                        else:
                            images[row] = result.numpy()
                            filled.append(row)
                    images.flush()
                    done[filled] = 1
                    done.flush()
                    bar.update(len(chunk))
                    if bad:
                        note_bad(bad)


def cache_for(source: Versioned, config: DataConfig) -> PixelCache:
    """The cache of a source's pictures as `config` makes them. Raises DataError."""
    names = [entry.identifier for entry in source.entries]
    looks = {name: getattr(config, name) for name in LOOKS}
    content = [PIL.__version__, OVERSAMPLING, looks, names, source.version()]
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


@functools.lru_cache(maxsize=16)
def _array(file: str, mode: Literal["r", "r+"]) -> np.memmap[Any, np.dtype[np.uint8]]:
    """Opened once per process; kept out of the cache so that workers do not receive a copy."""
    array: np.memmap[Any, np.dtype[np.uint8]] = np.load(file, mmap_mode=mode)
    return array


def _make(folder: Path, shape: tuple[int, int, int, int]) -> None:
    """Empty arrays, of holes, under another name, then renamed: never half made."""
    staging = folder.with_name(f".{folder.name}-{uuid.uuid4().hex[:8]}")
    staging.mkdir(parents=True)
    try:
        for name, dimensions in (("images.npy", shape), ("done.npy", shape[:1])):
            np.lib.format.open_memmap(staging / name, "w+", np.uint8, dimensions).flush()
        staging.rename(folder)
        _array.cache_clear()  # of a folder of this name that was deleted
    except OSError:
        if not folder.is_dir():  # if it is, another process was first
            raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """One process at a time, where the system has such locks; freed if the process dies."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with file.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
