"""The checkpoints that a run keeps: what is in them, and whether they are as they were written."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textdiff import checkpoint
from textdiff.errors import CheckpointError
from textdiff.locks import holder_of, is_alive
from textdiff.manifests import MANIFEST, read_manifest, verify_manifest
from textdiff.training.exports import EXPORT, is_current
from textdiff.training.health import Health
from textdiff.training.run_lock import LOCK

# folders of a run or of a model that may have a manifest of their own
PARTS = ("", "clip", "clean", "vae")
LOOKS, PAUSE = 4, 2.0  # at a run that trains, and seconds between them


@dataclass(frozen=True)
class Kept:
    """A checkpoint.

    size: of its files, in bytes. seconds: of training until then. loss: mean of the last steps,
    None: not said. rose: whether that is a rise. trouble: why it cannot be read, None: it can.
    """

    step: int
    folder: str
    size: int
    seconds: float | None
    loss: float | None
    rose: bool
    trouble: str | None


@dataclass(frozen=True)
class Verified:
    """A folder whose files were hashed. trouble: what is wrong, None: all are as written."""

    folder: str
    files: int
    size: int
    trouble: str | None


def kept_checkpoints(run: str | Path) -> list[Kept]:
    """Of a run, the newest first; files are not hashed. A run that trains meanwhile may remove one
    that it had: that is left out.

    Raises:
        CheckpointError: no such folder, or it has no checkpoint.
    """
    found = [_kept(step, folder) for step, folder in _steps(Path(run)).items()]
    return [each for each in found if each.trouble is None or Path(each.folder).is_dir()]


def _steps(run: Path) -> dict[int, Path]:
    run = run.expanduser()
    steps = checkpoint.steps_of(run / "checkpoints")
    if not steps:
        reason = "has no checkpoints" if run.is_dir() else "does not exist"
        raise CheckpointError(f"{run} {reason}; give the run folder of a training")
    return steps


def _kept(step: int, folder: Path) -> Kept:
    try:
        size = sum(size for size, _ in read_manifest(folder).values())
        state = checkpoint.load_state(folder)
        health = Health()
        health.fill(state.get("health", {}))
        loss = health.recent if health.seen else None
        seconds = float(state["seconds"]) if "seconds" in state else None
        return Kept(step, str(folder), size, seconds, loss, health.rose, None)
    except FileNotFoundError as error:
        trouble = f"{Path(str(error.filename)).name} is missing"
    except CheckpointError as error:
        trouble = str(error)
    size = 0
    with suppress(OSError):
        size = sum(path.stat().st_size for path in folder.glob("*"))
    return Kept(step, str(folder), size, None, None, False, trouble)


def verified_folders(run: str | Path) -> list[Verified]:
    """Hashes every file of a run folder, an exported model, a prior or a CLIP that a manifest
    lists: its parts, its export and its checkpoints, the newest first.

    Trouble in the folder of a run that trains is looked at again: it may have removed or replaced
    what was read just then.

    Raises:
        CheckpointError: nothing there has a manifest.
    """
    run = Path(run).expanduser()
    for _ in range(LOOKS):
        verified = _verified_folders(run)
        if not any(each.trouble for each in verified) or not is_alive(holder_of(run / LOCK)):
            break
        time.sleep(PAUSE)
    return verified


def _verified_folders(run: Path) -> list[Verified]:
    folders = [run / part for part in PARTS if (run / part / MANIFEST).is_file()]
    steps = list(checkpoint.steps_of(run / "checkpoints").values())
    if not folders and not steps:
        reason = f"has no {MANIFEST} and no checkpoints" if run.is_dir() else "does not exist"
        raise CheckpointError(f"{run} {reason}; give a run folder, a model or a CLIP")
    verified = [_verified(folder) for folder in (*folders, *steps)]
    if steps and (run / EXPORT).is_file() and not is_current(run, steps[0]):
        trouble = f"is not that of {steps[0].name}; the next start of the run writes it again"
        verified.append(Verified(str(run / EXPORT), 0, 0, f"{run / EXPORT} {trouble}"))
    return verified


def _verified(folder: Path) -> Verified:
    try:
        files = read_manifest(folder)
        verify_manifest(folder)
    except FileNotFoundError:
        trouble = f"{folder} has no {MANIFEST}: it was not written to its end"
        return Verified(str(folder), 0, 0, trouble)
    except CheckpointError as error:
        return Verified(str(folder), 0, 0, str(error))
    return Verified(str(folder), len(files), sum(size for size, _ in files.values()), None)


@dataclass(frozen=True)
class Contents:
    """All that a checkpoint says of itself. files: name -> size in bytes; state: as state.json."""

    kept: Kept
    files: dict[str, int]
    state: dict[str, Any]


def contents(run: str | Path, step: int | None = None) -> Contents:
    """Of the checkpoint of `step`, None: the newest good one; its files are hashed.

    Raises:
        CheckpointError: no such checkpoint, or a damaged one.
    """
    steps = _steps(Path(run))
    if step is None:
        folder, _ = checkpoint.newest_good(Path(run).expanduser() / "checkpoints")
        assert folder is not None  # there are some, and one of them is good
        step = checkpoint.step_of(folder)  # perhaps one that was saved meanwhile
    elif step in steps:
        folder = steps[step]
    else:
        raise CheckpointError(
            f"{run} has no checkpoint of step {step}; it keeps {', '.join(map(str, steps))}"
        )
    checkpoint.verify(folder)
    files = {name: size for name, (size, _) in read_manifest(folder).items()}
    return Contents(_kept(step, folder), files, checkpoint.load_state(folder))
