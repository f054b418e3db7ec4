"""Whether the pictures that a run trains on are still those that it began with.

    start    size, time of change and CRC-32 of each file ──► <run folder>/data_files.safetensors
    resume   sizes compared, and contents where the time of change has moved ──► go on, or refuse

Names, captions and settings are compared by the data's fingerprint (`fixed`); this is about files
that changed under their old names. Times alone refuse nothing, as a copy has new ones. Contents are
summed up where all files together have at most `SUMMED` bytes: a training reads as much anyway.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from textdiff import checkpoint
from textdiff.cores import usable_cores
from textdiff.data.text import shown
from textdiff.errors import CheckpointError

RECORD = "data_files.safetensors"
SUMMED = 2**30
UNKNOWN = -1  # in place of a size, where there is no file, and of a sum
SHOWN = 5  # files in an error
SLICE = 4096  # files that are given to threads at once


@dataclass(frozen=True)
class FileStates:
    """Of files in their order, int64 (N,). times: of change, in nanoseconds. sums: CRC-32."""

    sizes: Tensor
    times: Tensor
    sums: Tensor

    @classmethod
    def of(cls, files: Sequence[Path]) -> FileStates:
        """As they are now, sums not known."""
        sizes, times = _of_each(_size_and_time, files).view(-1, 2).unbind(1)
        return cls(sizes, times, torch.full_like(sizes, UNKNOWN))


def record(run: Path, files: Sequence[Path]) -> None:
    """Writes what `files` are at the start of a run; nothing where there are none."""
    if not files:
        return
    states = FileStates.of(files)
    if states.sizes.sum() <= SUMMED:
        states = replace(states, sums=_sums(files))
    _write(run, states)


def check(run: Path, files: Sequence[Path]) -> str | None:
    """Compares `files` with those that the run in `run` began with, and writes down their new times
    of change. Returns what could not be compared, in words; None: nothing.

    A run without a record that can be read, as of an earlier version, gets one.

    Raises:
        CheckpointError: files differ; names them.
    """
    if not files:
        return None
    before = _read(run)
    if before is None:
        record(run, files)
        return (
            "what the files of the data were when the run began is not known; they are taken as "
            "they are now"
        )
    now = FileStates.of(files)
    if len(now.sizes) != len(before.sizes):
        raise _changed(run, [f"{len(before.sizes)} files, now {len(now.sizes)}"], len(files))
    moved = (now.sizes == before.sizes) & (now.times != before.times)
    summed = (moved & (before.sums != UNKNOWN)).nonzero().flatten().tolist()
    sums = before.sums.clone()
    if summed:
        sums[summed] = _sums([files[k] for k in summed])
    other = (now.sizes != before.sizes) | (sums != before.sums)
    if other.any():
        places = other.nonzero().flatten().tolist()
        raise _changed(run, [_said(files[k], before, now, k) for k in places], len(files))
    if moved.any():
        _write(run, replace(now, sums=before.sums))
    unsure = int(moved.sum()) - len(summed)
    return (
        f"{unsure} of {len(files)} files of the data have another time of change than before and "
        "the same size; whether their content is the same is not known"
        if unsure
        else None
    )


def _said(file: Path, before: FileStates, now: FileStates, k: int) -> str:
    was, size = before.sizes[k].item(), now.sizes[k].item()
    if was == size:
        what = "other content"
    elif UNKNOWN in (was, size):
        what = "was not there" if was == UNKNOWN else "is gone"
    else:
        what = f"{was:,} bytes, now {size:,}"
    return f"{shown(str(file))} ({what})"


def _changed(run: Path, said: Sequence[str], count: int) -> CheckpointError:
    more = f" and {len(said) - SHOWN} more" if len(said) > SHOWN else ""
    return CheckpointError(
        f"{run} began with other pictures under these names, {len(said)} of {count}: "
        f"{', '.join(said[:SHOWN])}{more}; put them back, name another --run-dir, or remove "
        f"{run / RECORD} to go on with them as they are"
    )


def _size_and_time(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError:
        return UNKNOWN, UNKNOWN
    return status.st_size, status.st_mtime_ns


def _sums(files: Sequence[Path]) -> Tensor:
    return _of_each(_sum, files)


def _of_each(number: Callable[[Path], int | tuple[int, int]], files: Sequence[Path]) -> Tensor:
    """int64 (N,) or (N, 2) of one file or more, over several threads."""
    parts = []
    with ThreadPoolExecutor(usable_cores()) as pool:
        for start in range(0, len(files), SLICE):  # each file that waits takes a kilobyte
            numbers = list(pool.map(number, files[start : start + SLICE]))
            parts.append(torch.tensor(numbers, dtype=torch.int64))
    return torch.cat(parts)


def _sum(path: Path) -> int:
    total = 0
    if not path.is_file():  # a pipe would be waited for
        return UNKNOWN
    try:
        with path.open("rb") as file:
            while block := file.read(2**20):
                total = zlib.crc32(block, total)
    except OSError:
        return UNKNOWN
    return total


def _write(run: Path, states: FileStates) -> None:
    checkpoint.save_tensors(run / RECORD, vars(states))


def _read(run: Path) -> FileStates | None:
    """None where there is none, or none that can be read: what it would have told is lost."""
    if not (run / RECORD).is_file():
        return None
    try:
        states = FileStates(**checkpoint.load_tensors(run / RECORD))
    except (CheckpointError, TypeError):
        return None
    whole = all(each.shape == states.sizes.shape for each in vars(states).values())
    return states if whole and states.sizes.dtype == torch.int64 else None
