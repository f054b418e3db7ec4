"""Rows of one shape on disk, each computed once and read from memory ever after.

    <folder>/<name>.npy (N, ...)   a row per thing that is cached
             done.npy   (N,)       0: this row is not there yet; else uint8 1, or, where rows are
                                   hashed, uint64, the first bytes of the row's SHA-256
             about.json            what the rows are of, where their maker says it

Rows are marked after they are on disk, so that a fill that was stopped goes on where it was; a row
whose hash is not the one it was marked with counts as missing. Rows that nobody asks for stay holes
in the file and take no space.
"""

from __future__ import annotations

import functools
import hashlib
import json
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from textdiff.errors import DataError

CHUNK = 128  # rows between two flushes
DONE, ABOUT = "done.npy", "about.json"


class RowCache:
    """The rows in `folder`, which is made unless it is there. Pickled as the name of its folder.

    Args:
        shape: (N, ...) of all rows. name: of their file, without its ending.
        hashed: keep the hash of each row, so that one that was spoilt is told.
        about: what the rows are of, as JSON.

    Raises:
        DataError: the folder cannot be made or used, or holds other rows than these.
    """

    def __init__(
        self,
        folder: Path,
        shape: tuple[int, ...],
        *,
        name: str = "images",
        dtype: str = "uint8",
        hashed: bool = False,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder, self.hashed = folder, hashed
        self._rows, self._done = str(folder / f"{name}.npy"), str(folder / DONE)
        layout = {
            f"{name}.npy": (shape, dtype),
            DONE: (shape[:1], "uint64" if hashed else "uint8"),
        }
        try:
            if not folder.is_dir():
                _make(folder, layout, about)
            self._check_about(about or {})
            for file, expected in layout.items():
                array = _array(str(folder / file), "r")
                if (array.shape, array.dtype.name) != expected:
                    raise ValueError("another shape")
        except OSError as error:
            raise DataError(
                f"cache folder {folder.parent} cannot be used: {error}; set data.cache_dir or "
                "TEXTDIFF_CACHE to a folder that can be written, or data.cache to off"
            ) from None
        except ValueError as error:
            raise DataError(f"{folder} is damaged ({error}): delete it and start again") from None

    def _check_about(self, about: Mapping[str, Any]) -> None:
        if not about:
            return
        written = json.loads((self.folder / ABOUT).read_text("utf-8"))
        for key, value in about.items():
            if written.get(key) != value:
                raise DataError(
                    f"{self.folder} holds rows of another {key}, {written.get(key)}, not of "
                    f"{value}: delete it and start again"
                )

    def get(self, row: int) -> Tensor | None:
        """A copy of this row; None if it has not been filled."""
        if not _array(self._done, "r")[row]:
            return None
        return torch.from_numpy(np.array(_array(self._rows, "r")[row]))

    def missing(self, rows: Sequence[int]) -> list[int]:
        """Those that are not there."""
        done = _array(self._done, "r")
        return [row for row in rows if not done[row]]

    def spoilt(self, rows: Sequence[int]) -> list[int]:
        """Those that were filled, and have another hash now. None where rows are not hashed."""
        if not self.hashed:
            return []
        content, done = _array(self._rows, "r"), _array(self._done, "r")
        return [row for row in rows if done[row] and done[row] != _mark(content[row])]

    def forget(self, rows: Sequence[int]) -> None:
        """Makes these missing."""
        done = _array(self._done, "r+")
        done[list(rows)] = 0
        done.flush()

    def write(self, rows: Sequence[int], values: Sequence[NDArray[Any]]) -> None:
        """Puts these rows on disk, then marks them."""
        content, done = _array(self._rows, "r+"), _array(self._done, "r+")
        for row, value in zip(rows, values, strict=True):
            content[row] = value
        content.flush()
        done[list(rows)] = [_mark(content[row]) for row in rows] if self.hashed else 1
        done.flush()

    @contextmanager
    def filling(
        self, rows: Sequence[int], doing: str, again: Callable[[], None] | None = None
    ) -> Iterator[Iterator[list[int]]]:
        """Those of `rows` that are missing, in chunks, for the caller to `write`; a progress bar
        says what it is `doing`.

        Several processes may ask for it: one fills, the others wait.

        again: looks at the rows first, for those to `forget`.
        """
        with _locked(self.folder / "lock"):
            if again is not None:
                again()
            missing = self.missing(rows)
            with tqdm(
                total=len(rows),
                initial=len(rows) - len(missing),
                desc=doing,
                unit="picture",
                leave=False,
                disable=None if missing else True,
            ) as bar:
                yield _chunks(missing, bar)


def _chunks(rows: list[int], bar: tqdm[Any]) -> Iterator[list[int]]:
    for first in range(0, len(rows), CHUNK):
        chunk = rows[first : first + CHUNK]
        yield chunk
        bar.update(len(chunk))


def _mark(row: NDArray[Any]) -> int:
    """Of a row that is there; 0 is for those that are not."""
    digest = hashlib.sha256(np.ascontiguousarray(row).tobytes()).digest()
    return int.from_bytes(digest[:8], "little") or 1


@functools.lru_cache(maxsize=32)
def _array(file: str, mode: Literal["r", "r+"]) -> np.memmap[Any, np.dtype[Any]]:
    """Opened once per process; kept out of the cache so that workers do not receive a copy."""
    array: np.memmap[Any, np.dtype[Any]] = np.load(file, mmap_mode=mode)
    return array


def _make(
    folder: Path,
    layout: Mapping[str, tuple[tuple[int, ...], str]],
    about: Mapping[str, Any] | None,
) -> None:
    """Empty arrays, of holes, under another name, then renamed: never half made."""
    staging = folder.with_name(f".{folder.name}-{uuid.uuid4().hex[:8]}")
    staging.mkdir(parents=True)
    try:
        for name, (shape, dtype) in layout.items():
            np.lib.format.open_memmap(staging / name, "w+", np.dtype(dtype), shape).flush()
        if about:
            (staging / ABOUT).write_text(json.dumps(about, indent=1), "utf-8")
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
