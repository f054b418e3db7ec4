"""What an index is made of: `manifest.json`, replaced as a whole, so that it always names shards
that are there.

    index/  manifest.json  shard-<number>-<hash>.safetensors ...  lists-<hash>.faiss

A row has one number for as long as the index lives: shards are never changed, and rows that were
removed are listed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from textdiff.errors import DataError
from textdiff.evaluation.features.extractor import ExtractorProtocol
from textdiff.evaluation.results import OMIT_NONE, as_text, from_json, to_json
from textdiff.files import read_json, write_text

MANIFEST = "manifest.json"
SEAL = "sha256"  # key of the hash of all other keys
FORMAT = 1  # raise it when what stands in an index changes its meaning


@dataclass(frozen=True)
class IndexedSource:
    """Where pictures come from, so that they can be opened again.

    name: what the user called it. settings: the `DataConfig` that opens all of it, with paths that
    hold everywhere on this machine. fingerprint: of all of it when pictures were last added.
    """

    name: str
    settings: Mapping[str, Any]
    fingerprint: str


@dataclass(frozen=True)
class ShardEntry:
    """A file of rows of one source. source: which, by number. error: of its coarse plane."""

    file: str
    rows: int
    source: int
    error: float
    size: int
    sha256: str


@dataclass(frozen=True)
class Threshold:
    """What the best score of something unrelated to the index reaches, and what is above it.

    value: the `quantile` of the best scores of `queries` queries among unrelated pictures.
    """

    value: float
    quantile: float
    queries: int


@dataclass(frozen=True)
class Calibration:
    """text, picture: for queries of either kind; None: the index has too few of them to tell.
    live: rows that the index had."""

    live: int
    text: Threshold | None
    picture: Threshold | None


@dataclass(frozen=True)
class ListsEntry:
    """A file for approximate search of the first `rows` rows. recall: that it has."""

    file: str
    rows: int
    recall: float
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """clip: what the user called the CLIP, a path absolute; extractor: what it is.

    removed: ranges [first, end) of rows, ascending. calibration: None: not built to its end. lists:
    None: every search is exact.
    """

    format: int
    clip: str
    extractor: ExtractorProtocol
    sources: list[IndexedSource]
    shards: list[ShardEntry]
    removed: list[list[int]]
    calibration: Annotated[Calibration | None, OMIT_NONE] = None
    lists: Annotated[ListsEntry | None, OMIT_NONE] = None

    @property
    def rows(self) -> int:
        """With those that were removed."""
        return sum(shard.rows for shard in self.shards)

    def gone(self) -> np.ndarray | None:
        """(rows,) which were removed; None: none were."""
        if not self.removed:
            return None
        gone = np.zeros(self.rows, dtype=bool)
        for first, end in self.removed:
            gone[first:end] = True
        return gone


def ranges_of(gone: np.ndarray) -> list[list[int]]:
    """The inverse of `Manifest.gone`."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], gone, [False]]).astype(np.int8)))
    return edges.reshape(-1, 2).tolist()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Whole or not at all, with a hash of itself."""
    content = to_json(manifest)
    write_text(folder / MANIFEST, as_text({**content, SEAL: _hash(content)}))


def _hash(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """Raises DataError: no index, one of another format, or a manifest that is damaged."""
    path = folder / MANIFEST
    try:
        content = read_json(path)
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(
            f"{folder} is no index: it has no {MANIFEST}; 'textdiff index build' makes one"
        ) from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}; build the index again") from None
    try:
        if content["format"] != FORMAT:
            raise DataError(
                f"{folder} is an index of format {content['format']}, this version reads {FORMAT}; "
                "build it again"
            )
        sealed = content.pop(SEAL, None)  # indexes of the first versions have none
        read = from_json(Manifest, content, str(path))
        if sealed not in (None, _hash(content)):
            raise ValueError("it differs from what was written")
        return read
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged: {error}; build the index again") from None
