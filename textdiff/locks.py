"""One process at a time: a lock is a file that its holder keeps locked, and that says who it is.

    <file>   {"pid": 4711, "host": "node3", "started": "2026-11-28 08:10:02 UTC", "born": "..."}

The system frees the lock when its holder ends, however that happens, so that what a killed process
leaves behind locks nobody out. On file systems without such locks the file itself is the lock: it
is made, with its content, by whoever comes first, and one whose holder has ended is moved away.
What that cannot do: tell whether a process on another machine, or in another container with this
one's host name, has ended (it counts as alive, or as ended); and keep two out that move the same
old lock away within the same instant.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

# of flock where the file system has none
NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL})
# of link where the file system has none
NO_LINKS = frozenset({errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.EMLINK})
TIME = "%Y-%m-%d %H:%M:%S UTC"
PAUSE = 0.5  # seconds between two looks at a lock that is the file itself


@dataclass(frozen=True)
class Holder:
    """Who holds a lock. started: when it took it, for people. born: what tells it from a later
    process of its number, see `born`."""

    pid: int
    host: str
    started: str
    born: str = ""

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
        handle.write(_me())
        handle.flush()
        yield
    finally:
        file.unlink(missing_ok=True)  # before it is free: afterwards it may be another's
        handle.close()


def _me() -> str:
    pid = os.getpid()
    started = time.strftime(TIME, time.gmtime())
    return json.dumps(Holder(pid, socket.gethostname(), started, born(pid)).__dict__)


def _take(file: Path, wait: bool) -> IO[str]:
    while True:
        there = file.exists()
        handle = file.open("a+", encoding="utf-8")
        try:
            if not _lock(handle, wait):
                raise HeldError(holder_of(file))
            if _is_still(handle, file):
                return handle
        except OSError as error:
            handle.close()
            if error.errno not in NO_LOCKS:
                raise
            if not there and holder_of(file) is None:
                _move_away(file, None)  # what we made, empty
            return _take_by_name(file, wait)
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
    """Whether the lock is ours now. Raises OSError: the file system has no locks."""
    if fcntl is None:
        raise OSError(errno.ENOSYS, "no locks")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            return False
        raise
    return True


def _take_by_name(file: Path, wait: bool) -> IO[str]:
    """The lock where the file itself is it."""
    while not _made(file):
        holder = holder_of(file)
        if holder is None and _age(file) < PAUSE:  # it is just being written
            time.sleep(PAUSE)
        elif not is_alive(holder):
            _move_away(file, holder)
        elif wait:
            time.sleep(PAUSE)
        else:
            raise HeldError(holder)
    return file.open("r+", encoding="utf-8")


def _made(file: Path) -> bool:
    """Whether the file was not there, and is ours now, with its content from the first."""
    ours = file.with_name(f"{file.name}.{uuid.uuid4().hex[:8]}")
    ours.write_text(_me(), encoding="utf-8")
    try:
        os.link(ours, file)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        try:
            descriptor = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            return False
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            handle.write(_me())
    finally:
        ours.unlink(missing_ok=True)
    return True


def _move_away(file: Path, holder: Holder | None) -> None:
    """The lock of one that has ended; if it is another's by now, it is put back."""
    old = file.with_name(f"{file.name}.{uuid.uuid4().hex[:8]}")
    with suppress(FileNotFoundError):
        file.rename(old)
        if holder_of(old) != holder:
            old.rename(file)
        old.unlink(missing_ok=True)


def _age(file: Path) -> float:
    """Seconds since it was written."""
    try:
        return time.time() - file.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def holder_of(file: Path) -> Holder | None:
    """What a lock's file says; None: nothing, or it cannot be read."""
    try:
        said = json.loads(file.read_text(encoding="utf-8"))
        about = (str(said["host"]), str(said["started"]), str(said.get("born", "")))
        return Holder(int(said["pid"]), *about)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def is_alive(holder: Holder | None) -> bool:
    """Whether that process runs, and is no later one of the same number."""
    if holder is None or holder.host != socket.gethostname():
        return holder is not None
    return bool(holder.born) and born(holder.pid) == holder.born


def born(pid: int) -> str:
    """When a process of this machine began, whatever its clock was set to since: on Linux the boot
    and the ticks since then, elsewhere the second; empty: it does not run."""
    if sys.platform == "linux":
        try:
            boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
            # after the name, which stands in parentheses and may hold spaces
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] == "Z" else f"{boot} {fields[19]}"
    import psutil

    try:
        return str(round(psutil.Process(pid).create_time()))
    except psutil.Error:
        return ""
