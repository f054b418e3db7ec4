"""Tar files read at any place: a picture is the bytes [offset, offset + size) of a shard.

Each process opens a shard once and reads with `pread`, which has no position that threads or
processes could move for each other. So random order costs no more than order.
"""

from __future__ import annotations

import functools
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from textdiff.data.decode import BadImage
from textdiff.errors import DataError

MOST_OPEN = 128  # shards per process; systems allow 256 files or more


@dataclass(frozen=True, slots=True)
class Shard:
    """A tar file as it was when it was looked at. changed: in nanoseconds."""

    path: str
    size: int
    changed: int

    @classmethod
    def at(cls, path: Path) -> Shard:
        """Raises DataError of what is no file."""
        try:
            status = path.stat()
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}") from None
        if not stat.S_ISREG(status.st_mode):
            raise DataError(f"{path} is not a regular file")
        return cls(os.path.realpath(path), status.st_size, status.st_mtime_ns)

    def read(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes.

        Raises:
            BadImage: they cannot be read.
            DataError: the shard is gone, or has changed since it was looked at.
        """
        descriptor = _opened(self).number
        try:
            content = os.pread(descriptor, size, offset)
        except OSError as error:
            raise BadImage("unreadable file") from error
        if len(content) < size:
            raise BadImage("truncated")
        return content


class _OpenFile:
    """Closed when no thread uses it any more."""

    def __init__(self, shard: Shard) -> None:
        self.number = os.open(shard.path, os.O_RDONLY | os.O_NONBLOCK)
        status = os.fstat(self.number)
        if (status.st_size, status.st_mtime_ns) != (shard.size, shard.changed):
            raise DataError(f"{shard.path} has changed since it was looked at: start again")

    def __del__(self) -> None:
        if hasattr(self, "number"):
            os.close(self.number)


@functools.lru_cache(maxsize=MOST_OPEN)
def _opened(shard: Shard) -> _OpenFile:
    try:
        return _OpenFile(shard)
    except OSError as error:
        raise DataError(f"{shard.path} cannot be read: {error.strerror}") from None
