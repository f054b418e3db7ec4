"""What pytest-xdist's workers share: each long preparation happens in one of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def prepared_once(
    tmp_path_factory: pytest.TempPathFactory, name: str, prepare: Callable[[Path], object]
) -> Path:
    """The folder `name` of this test session, filled by `prepare(folder)` in the first worker
    that asks for it. Tests must leave it as it is: others read it at the same time."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # a worker has a folder of its own in the session's
    folder, done = base / "shared" / name, base / "shared" / f"{name}.done"
    folder.parent.mkdir(exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not done.exists():
            prepare(folder)
            done.touch()
    return folder
