"""One process at a time: a lock is a file that its holder keeps locked, and that says who it is.

    <file>   {"pid": 4711, "host": "node3", "started": "2026-11-28 08:10:02"}

The system frees the lock when its holder ends, however that happens, so that what a killed process
leaves behind locks nobody out. On file systems without such locks the holder is asked for by its
number, on this machine; one on another machine counts as alive.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# of flock where the file system has none
NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})
TIME = "%Y-%m-%d %H:%M:%S"


@dataclass(frozen=True)
class Holder:
    """Who holds a lock. started: local time at which it took it."""

    pid: int
    host: str
    started: str

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.started}"


class HeldError(Exception):
    """Another process holds the lock. holder: None where the file does not say."""

    def __init__(self, holder: Holder | None) -> None:
        super().__init__(str(holder or "another process"))
        self.holder = holder


@contextmanager
def locked(file: Path, *, wait: bool = False) -> Iterator[None]:
    """Holds the lock inside the block; afterwards the file is gone.

    Args:
        wait: until the other has ended.

    Raises:
        HeldError: without `wait`. OSError: the file cannot be written.
    """
    handle = _take(file, wait)
    try:
        handle.seek(0)
        handle.truncate()
        me = Holder(os.getpid(), socket.gethostname(), time.strftime(TIME))
        handle.write(json.dumps(me.__dict__))
        handle.flush()
        yield
    finally:
        file.unlink(missing_ok=True)  # before it is free: afterwards it may be another's
        handle.close()


def _take(file: Path, wait: bool) -> IO[str]:
    while True:
        handle = file.open("a+", encoding="utf-8")
        try:
            if not _lock(handle, wait):
                raise HeldError(holder_of(file))
            if _is_still(handle, file):
                return handle
        except BaseException:
            handle.close()
            raise
        handle.close()  # its last holder removed it meanwhile


def _is_still(handle: IO[str], file: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle.fileno()), file.stat())
    except FileNotFoundError:
        return False


def _lock(handle: IO[str], wait: bool) -> bool:
    """Whether the lock is ours now."""
    try:
        if fcntl is None:
            raise OSError(errno.ENOSYS, "no locks")
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        return True
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            return False
        if error.errno not in NO_LOCKS:
            raise
    while is_alive(holder_of(Path(handle.name))):
        if not wait:
            return False
        time.sleep(0.5)
    return True


def holder_of(file: Path) -> Holder | None:
    """What a lock's file says; None: nothing, or it cannot be read."""
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        return Holder(int(said["pid"]), str(said["host"]), str(said["started"]))
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None


def is_alive(holder: Holder | None) -> bool:
    """Whether that process runs; one that began after it is said to have taken the lock is
    another."""
    if holder is None or holder.host != socket.gethostname():
        return holder is not None
    import psutil

    try:
        began = psutil.Process(holder.pid).create_time()
        return began <= time.mktime(time.strptime(holder.started, TIME)) + 1
    except (psutil.Error, ValueError, OverflowError):
        return False
