"""Rows of one shape on disk, each computed once and read from memory ever after.

    <folder>/<name>.npy, sums.npy  a row per thing that is cached, see `row_file`
             done.npy              (N,) uint8, 1: this row is there
             about.json            what the rows are of, where their maker says it

Rows are marked after they are on disk, so that a fill that was stopped goes on where it was. Rows
that nobody asks for stay holes in the file and take no space. One that the disk has spoilt counts
as missing when it is read.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from textdiff.data.made_once import make_once
from textdiff.data.row_file import (
    DamagedRowError,
    RowFile,
    Shape,
    make_array,
    make_row_file,
    mapped,
    write_rows,
)
from textdiff.errors import DataError
from textdiff.files import read_json
from textdiff.locks import locked

CHUNK = 128  # rows between two flushes
DONE, ABOUT = "done.npy", "about.json"


class RowCache:
    """The rows in `folder`, which is made unless it is there. Pickled as the name of its folder.

    Args:
        shape: (N, ...) of all rows. name: of their file, without its ending.
        about: what the rows are of, as JSON.

    Raises:
        DataError: the folder cannot be made or used, or holds other rows than these.
    """

    def __init__(
        self,
        folder: Path,
        shape: Shape,
        *,
        name: str = "images",
        dtype: str = "uint8",
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder, file = folder, f"{name}.npy"
        self._damaged: set[int] = set()  # rows that were told

        def make(staging: Path) -> None:
            make_row_file(staging, shape, file, dtype)
            make_array(staging / DONE, np.uint8, shape[:1])
            if about:
                (staging / ABOUT).write_text(json.dumps(about, indent=1), "utf-8")

        try:
            make_once(folder, make)
            self._check_about(about or {})
            self._rows = RowFile(folder, shape, file, dtype)
            if mapped(folder / DONE).shape != shape[:1]:
                raise ValueError(f"{DONE} of another shape")
        except OSError as error:
            raise _unusable(folder, error) from None
        except ValueError as error:
            raise DataError(f"{folder} is damaged ({error}): delete it and start again") from None

    def _check_about(self, about: Mapping[str, Any]) -> None:
        if not about:
            return
        written = read_json(self.folder / ABOUT)
        if not isinstance(written, dict):
            raise ValueError(f"{ABOUT} of another kind")
        for key, value in about.items():
            if written.get(key) != value:
                raise DataError(
                    f"{self.folder} holds rows of another {key}, {written.get(key)}, not of "
                    f"{value}: delete it and start again"
                )

    def get(self, row: int) -> Tensor | None:
        """A copy of this row; None if it has not been filled, or is damaged."""
        if not mapped(self.folder / DONE)[row]:
            return None
        try:
            return self._rows[row]
        except DamagedRowError as error:
            if row not in self._damaged:
                self._damaged.add(row)
                logging.getLogger(__name__).warning("%s: it is made again", error)
            return None

    def missing(self, rows: Sequence[int]) -> list[int]:
        """Those that have not been filled."""
        done = mapped(self.folder / DONE)
        return [row for row in rows if not done[row]]

    def spoilt(self, rows: Sequence[int]) -> list[int]:
        """Those that were filled, and are damaged now."""
        done = mapped(self.folder / DONE)
        return [row for row in rows if done[row] and self.get(row) is None]

    def forget(self, rows: Sequence[int]) -> None:
        """Makes these missing."""
        self._mark(rows, 0)

    def write(self, rows: Sequence[int], values: Sequence[NDArray[Any]]) -> None:
        """Puts these rows on disk, then marks them.

        Raises:
            DataError: the disk is full, or what else keeps them from being written.
        """
        try:
            self._rows.write(dict(zip(rows, values, strict=True)))
        except OSError as error:
            raise _unusable(self.folder, error) from None
        self._mark(rows, 1)

    def _mark(self, rows: Sequence[int], done: int) -> None:
        try:
            write_rows(self.folder / DONE, dict.fromkeys(rows, done))
        except OSError as error:
            raise _unusable(self.folder, error) from None

    @contextmanager
    def filling(
        self, rows: Sequence[int], doing: str, again: Callable[[], None] | None = None
    ) -> Iterator[Iterator[list[int]]]:
        """Those of `rows` that are missing, in chunks, for the caller to `write`; a progress bar
        says what it is `doing`.

        Several processes may ask for it: one fills, the others wait.

        again: looks at the rows first, for those to `forget`.
        """
        with locked(self.folder / "lock", wait=True):
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


def _unusable(folder: Path, error: OSError) -> DataError:
    return DataError(
        f"cache folder {folder.parent} cannot be used: {error}; set data.cache_dir or "
        "TEXTDIFF_CACHE to a folder that can be written, or data.cache to off"
    )
