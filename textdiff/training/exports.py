"""What a run derives from its checkpoint: a model in a form of its own, in the run folder.

    checkpoint ──► staging folder ──► run folder/...  ──► run folder/export.json

export.json comes last. It names the checkpoint by the hash of its manifest, and each file with size
and sha256; so an export that was interrupted, or is of another checkpoint, is known as such and
written again.
"""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import Path

from textdiff.files import read_json, write_text
from textdiff.manifests import MANIFEST, sha256_of
from textdiff.training.task import Exporting

EXPORT = "export.json"


def ensure_export(task: Exporting, run: Path, checkpoint: Path) -> bool:
    """Writes what `task`, which holds the weights of `checkpoint`, exports, unless it is there.

    Returns whether it was written.
    """
    if is_current(run, checkpoint):
        return False
    for abandoned in run.glob(".export-*"):  # by a process that was killed
        shutil.rmtree(abandoned)
    staging = run / f".export-{uuid.uuid4().hex[:8]}"
    staging.mkdir()
    try:
        task.export(staging)
        names = [path.relative_to(staging) for path in sorted(staging.rglob("*"))]
        files = {
            name.as_posix(): {
                "size": (staging / name).stat().st_size,
                "sha256": sha256_of(staging / name),
            }
            for name in names
            if (staging / name).is_file()
        }
        # manifests last, and none of before beside files of now
        in_order = sorted(files, key=lambda name: Path(name).name == MANIFEST)
        for name in [EXPORT, *(name for name in files if Path(name).name == MANIFEST)]:
            (run / name).unlink(missing_ok=True)
        for name in in_order:
            (run / name).parent.mkdir(parents=True, exist_ok=True)
            (staging / name).replace(run / name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    written = {"checkpoint": checkpoint.name, "manifest": _identity(checkpoint), "files": files}
    write_text(run / EXPORT, json.dumps(written, indent=1))
    return True


def exported_files(run: Path) -> list[str]:
    """Of the export in `run`, the weights; none without one."""
    try:
        written = read_json(run / EXPORT)
        return sorted(name for name in written["files"] if name.endswith(".safetensors"))
    except (OSError, ValueError, LookupError, TypeError):
        return []


def is_current(run: Path, checkpoint: Path) -> bool:
    """Whether the export in `run` is that of `checkpoint`, whole and as it was written."""
    try:
        written = read_json(run / EXPORT)
        if written["manifest"] != _identity(checkpoint):
            return False
        return all(
            (run / name).stat().st_size == file["size"] and sha256_of(run / name) == file["sha256"]
            for name, file in written["files"].items()
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return False


def _identity(checkpoint: Path) -> str:
    """Of the checkpoint's files: its manifest holds the hash of each."""
    return sha256_of(checkpoint / MANIFEST)
