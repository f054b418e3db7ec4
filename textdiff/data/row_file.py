"""Rows in a file that is mapped, each with a checksum by which a damaged one is known.

    <folder>/<name>.npy   (N, ...), such as images.npy: (N, 3, S, S) uint8
             sums.npy     (N,) uint32, the CRC-32 of each row

A row is checked whenever it is read: that costs less than to hash a file of many gigabytes before
the first one is, and sees what a disk does later, too. Rows are written through the file, not the
map: a disk that is full is an error then, where a map would end the process with SIGBUS.
"""

from __future__ import annotations

import functools
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from textdiff.files import replacing

IMAGES, SUMS = "images.npy", "sums.npy"
Shape = tuple[int, ...]


class DamagedRowError(ValueError):
    """A row is not what was written."""


def make_row_file(folder: Path, shape: Shape, name: str = IMAGES, dtype: str = "uint8") -> None:
    """Empty, of holes that take no space on the disk. Raises OSError."""
    make_array(folder / name, dtype, shape)
    make_array(folder / SUMS, np.uint32, shape[:1])


def make_array(file: Path, dtype: Any, shape: tuple[int, ...]) -> None:
    """Of zeros, that take no space on the disk. Raises OSError."""
    np.lib.format.open_memmap(file, "w+", dtype, shape).flush()


class RowFile:
    """The rows of `shape` (N, ...) in `folder`. Pickled as its name.

    Raises:
        OSError: it cannot be read. ValueError: it holds other than such rows.
    """

    def __init__(
        self, folder: Path, shape: Shape, name: str = IMAGES, dtype: str = "uint8"
    ) -> None:
        self.folder, self.name = folder, name
        for file, kind, expected in ((name, dtype, shape), (SUMS, "uint32", shape[:1])):
            array = mapped(folder / file)
            if (array.shape, array.dtype.name) != (expected, kind):
                raise ValueError(
                    f"{file} has {array.dtype} {array.shape} in place of {kind} {expected}"
                )

    def __getitem__(self, row: int) -> Tensor:
        """A copy. Raises DamagedRowError."""
        values = np.array(mapped(self.folder / self.name)[row])
        if checksum(values) != mapped(self.folder / SUMS)[row]:
            raise DamagedRowError(f"row {row} of {self.folder / self.name} is damaged")
        return torch.from_numpy(values)

    def write(self, rows: dict[int, NDArray[Any]]) -> None:
        """Values by row: on disk when it returns. Raises OSError."""
        array = mapped(self.folder / self.name)
        rows = {row: np.ascontiguousarray(values, array.dtype) for row, values in rows.items()}
        write_rows(self.folder / self.name, rows)
        write_rows(self.folder / SUMS, {row: checksum(values) for row, values in rows.items()})


def checksum(row: NDArray[Any]) -> int:
    """CRC-32 of its bytes."""
    return zlib.crc32(np.ascontiguousarray(row).view(np.uint8).data)


def add_sums(folder: Path) -> None:
    """Of a folder that an earlier version wrote, without any: of its rows as they are now.

    Raises:
        OSError, ValueError: as `RowFile`.
    """
    if (folder / SUMS).is_file():
        return
    images = mapped(folder / IMAGES)
    with replacing(folder / SUMS) as temporary:
        np.save(temporary, np.array([checksum(row) for row in images], np.uint32))


def write_rows(file: Path, rows: dict[int, Any]) -> None:
    """Rows of an array's file by number: on disk when it returns. Raises OSError."""
    array = mapped(file)
    with file.open("r+b") as handle:
        for row, values in rows.items():
            handle.seek(array.offset + row * array.strides[0])
            handle.write(np.asarray(values, array.dtype).tobytes())
        handle.flush()
        os.fsync(handle.fileno())


@functools.lru_cache(maxsize=64)
def mapped(file: Path) -> np.memmap[Any, Any]:
    """An array of a .npy file, opened once per process; what `write_rows` writes is seen in it.

    Raises:
        OSError: no such file. ValueError: not the array that it says it is.
    """
    try:
        array = np.load(file, mmap_mode="r")
    except EOFError as error:  # an empty file
        raise ValueError(str(error)) from None
    if not isinstance(array, np.memmap):
        raise ValueError(f"{file.name} is no array")
    return array
