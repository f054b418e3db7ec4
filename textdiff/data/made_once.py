"""A folder of the cache is made by one process, while others that need it wait; never half full.

    <cache>/.<name>.lock ──► <cache>/.<name>-<8 hex digits>/ ──► <cache>/<name>/

What a process that was killed had begun is removed by the next that makes anything there.
"""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path

from textdiff.data.row_file import mapped
from textdiff.locks import HeldError, locked

STAGED = re.compile(r"\.(.+)-[0-9a-f]{8}")


def make_once(folder: Path, make: Callable[[Path], None]) -> None:
    """Makes `folder` unless it is there; `make` fills the folder that it is given.

    Raises:
        OSError: it cannot be written.
    """
    if folder.is_dir():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(_lock_of(folder), wait=True):
        if folder.is_dir():
            return
        remove_abandoned(folder.parent, ours=folder.name)
        staging = folder.with_name(f".{folder.name}-{uuid.uuid4().hex[:8]}")
        staging.mkdir()
        try:
            make(staging)
            staging.rename(folder)
            mapped.cache_clear()  # of a folder of this name that was deleted
        finally:
            shutil.rmtree(staging, ignore_errors=True)


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


def remove_abandoned(root: Path, ours: str) -> None:
    """Staged folders under `root` of the name whose lock is ours, and those whose lock is free."""
    for staged in root.glob(".*"):
        match = STAGED.fullmatch(staged.name)
        if match is None or not staged.is_dir():
            continue
        free = nullcontext() if match[1] == ours else locked(_lock_of(root / match[1]))
        with suppress(HeldError, OSError), free:
            shutil.rmtree(staged, ignore_errors=True)
