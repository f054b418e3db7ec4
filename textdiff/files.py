"""Files that are either whole or not there: written under another name, flushed, then renamed.

Before long work, `check_file` and `check_folder` say whether its result will find a place.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from textdiff.errors import UsageError


def flush(path: Path) -> None:
    """Asks the system to put a file or a folder's entries on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def follow_umask(folder: Path) -> None:
    """Gives every file under `folder`, whoever wrote it, the mode of a new one."""
    mode = _mode_of_new_file(folder)
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod(mode)


def _mode_of_new_file(folder: Path) -> int:
    """0666 but for the umask, as seen on a file that is made: to read the umask itself is to set
    it, for all threads."""
    probe = folder / f".mode-{uuid.uuid4().hex[:8]}"
    descriptor = os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        return stat.S_IMODE(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)
        probe.unlink()


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yields a temporary name beside `path`; on success it is renamed to `path`, else removed.

    Parent folders are made. The temporary name keeps the suffix, which Pillow and others look at.
    The file may be read and written by whom the umask says, whoever wrote it: safetensors, for one,
    makes files for their owner alone.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}-{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        yield temporary
        temporary.chmod(_mode_of_new_file(path.parent))
        flush(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def disk_errors(path: str | Path) -> Iterator[None]:
    """What the system says while safetensors writes to `path`, as an OSError again.

    Raises:
        OSError: where safetensors raised an error of its own.
    """
    from safetensors import SafetensorError

    try:
        yield
    except SafetensorError as error:
        raise OSError(errno.EIO, str(error), str(path)) from error


def read_json(path: str | Path) -> Any:
    """What a JSON file says.

    Raises:
        ValueError: it is no JSON, no UTF-8, or nested too deeply. OSError: it cannot be read.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def write_text(path: str | Path, text: str) -> None:
    """`text` as UTF-8, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def check_folder(flag: str, path: str | Path) -> None:
    """Nothing is made yet.

    Raises:
        UsageError: files cannot be written into the folder `path`, or it cannot be made.
    """
    path = Path(path).absolute()
    there = next(place for place in (path, *path.parents) if os.path.lexists(place))
    if not there.is_dir():
        raise UsageError(f"{flag} {path}: {there} is no folder; name another place")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"{flag} {path}: {there} cannot be written to; name another place")


def check_file(flag: str, path: str | Path | None) -> None:
    """As `check_folder`, of a file; None is fine."""
    if path is None:
        return
    if Path(path).is_dir():
        raise UsageError(f"{flag} {path} is a folder; name a file in it")
    check_folder(flag, Path(path).parent)
