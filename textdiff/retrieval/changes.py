"""What changes an index: one process at a time, and each change whole or not at all."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from textdiff.errors import UsageError
from textdiff.retrieval.index import Index
from textdiff.retrieval.manifest import Manifest, ranges_of, write_manifest
from textdiff.retrieval.shard import open_shard


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Keeps other processes from changing the index meanwhile; they may read it. Raises
    UsageError: another one changes it already."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"another process changes the index {folder}; wait for it") from None
        yield
    finally:
        os.close(descriptor)


def changed(index: Index, manifest: Manifest) -> Index:
    """The index with another manifest, which is written; what it adds is read back."""
    write_manifest(index.path, manifest)
    known = len(index.shards)
    added = [open_shard(index.path, entry) for entry in manifest.shards[known:]]
    return Index(index.path, manifest, [*index.shards, *added])


def without_rows(index: Index, rows: Sequence[int]) -> Index:
    """The index without these rows."""
    if not rows:
        return index
    gone = index.manifest.gone()
    gone = np.zeros(index.manifest.rows, dtype=bool) if gone is None else gone
    gone[list(rows)] = True
    return changed(index, replace(index.manifest, removed=ranges_of(gone)))


def rows_by_name(index: Index, source: int) -> dict[str, int]:
    """The row of each picture of a source by its name there."""
    gone, start = index.rows.gone, 0
    rows: dict[str, int] = {}
    for shard in index.shards:
        if shard.source == source:
            for row, name in enumerate(shard.identifiers, start):
                if gone is None or not gone[row]:
                    rows[name] = row
        start += len(shard.planes)
    return rows


def remove_pictures(path: str | Path, source: str | None, pictures: Sequence[str]) -> int:
    """Takes pictures out of an index; returns how many.

    Args:
        source: their source, by its name in the index; None: the only one.
        pictures: their names there; none: all of the source.

    Raises:
        DataError: no index, or a damaged one.
        UsageError: no such source or picture, neither of them, or another process changes the
            index.
    """
    if source is None and not pictures:
        raise UsageError("say what to remove: --source, or --pictures, or both")
    folder = Index.open(path).path
    with changing(folder):
        index = Index.open(folder)
        number = _number_of(index, source)
        rows = rows_by_name(index, number)
        strange = next((name for name in pictures if name not in rows), None)
        if strange is not None:
            name = index.manifest.sources[number].name
            raise UsageError(f"{strange} is no picture of {name} in the index {folder}")
        chosen = [rows[name] for name in dict.fromkeys(pictures or rows)]
        without_rows(index, chosen)
        return len(chosen)


def _number_of(index: Index, source: str | None) -> int:
    counts = index.pictures_by_source()
    names = {index.manifest.sources[k].name: k for k, count in enumerate(counts) if count}
    if source is None and len(names) == 1:
        return next(iter(names.values()))
    if source is None or source not in names:
        asked = "say which source" if source is None else f"'{source}' is no source"
        listed = ", ".join(names) or "no pictures"
        raise UsageError(f"{asked} of the index {index.path}; it has {listed}")
    return names[source]
