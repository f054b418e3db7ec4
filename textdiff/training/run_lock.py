"""A run folder belongs to one run at a time.

<run folder>/.lock ──► held by the main process from before the first read to the end
what killed runs left behind, under names of their own ──► a checkpoint that is whole and that has
                 no other in its place gets its name; the rest is removed, since nobody writes there
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from textdiff.checkpoint import restore_staged
from textdiff.errors import UsageError
from textdiff.locks import HeldError, locked
from textdiff.training.processes import on_any

if TYPE_CHECKING:
    from accelerate import Accelerator

LOCK = ".lock"
# where training writes, and under which names before it renames them: nothing else is removed
FOLDERS = ("", "checkpoints", "clip", "clean", "vae", "samples", "samples/timeline")
STAGED = r"(staging-step-\d+|export|saving)-\w+|mode-[0-9a-f]{8}"
NAMES = (
    r"ATTRIBUTION|config|data_files|export|latents|manifest|metrics|model|noised\w*|prior|step-\d+|"
    r"timeline|\w*clip\w*|diffusion_pytorch_model"
)
FILE = rf"({NAMES})-[0-9a-f]{{8}}\.(jsonl?|png|safetensors|txt|yaml)"
LEFTOVER = re.compile(rf"\.({STAGED}|{FILE})")


@contextmanager
def run_lock(folder: Path, accelerator: Accelerator) -> Iterator[None]:
    """Holds the run folder, which is made, inside the block. All processes call it together.

    Raises:
        UsageError: another run has it; on all processes.
    """
    with ExitStack() as stack:
        refused = ""
        if accelerator.is_main_process:
            try:
                stack.enter_context(_held(folder))
            except UsageError as error:
                refused = str(error)
        if on_any(accelerator, bool(refused)):
            raise UsageError(refused or f"run folder {folder} is in use")
        yield


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with locked(folder / LOCK):
            restore_staged(folder / "checkpoints")
            remove_leftovers(folder)
            yield
    except HeldError as error:
        raise UsageError(
            f"run folder {folder} is in use by {error}; wait for it or end it, or name another "
            "--run-dir"
        ) from None
    finally:
        with suppress(OSError):  # of a run that was refused before it wrote anything, all are empty
            for path in made:
                path.rmdir()


def remove_leftovers(folder: Path) -> list[Path]:
    """What runs that were killed had not finished; returns what was removed."""
    places = [folder / name for name in FOLDERS]
    found = [p for place in places for p in place.glob(".*") if LEFTOVER.fullmatch(p.name)]
    for path in found:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return found
