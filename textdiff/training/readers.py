"""A training outlives whoever reads what it prints: a closed terminal, `| head`, a full disk of its
log."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

GONE = (errno.EPIPE, errno.EIO)  # a pipe, a terminal


class Outliving:
    """A stream that drops what its reader does not take; once he has gone, all of it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with self._dropping():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with self._dropping():
            self._stream.flush()

    @contextmanager
    def _dropping(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in GONE:  # what waits in the buffer would fail again when Python ends
                with suppress(OSError, ValueError):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def outliving_readers() -> Iterator[None]:
    """Inside the block nothing that is printed raises OSError."""
    streams = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = Outliving(sys.stdout), Outliving(sys.stderr)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = streams
