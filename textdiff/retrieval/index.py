"""An index of pictures on disk: their features by one CLIP, what is known of them, where they are.

index = Index.open("out/index")
index.caption(row), index.where(row), index.picture(row)
index.nearest_to_row(row, top=20).hits           more like this
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL.Image import Image

from textdiff.data.of_run import IN_FOLDERS
from textdiff.errors import DataError, UsageError
from textdiff.evaluation.features.extractor import ExtractorProtocol
from textdiff.retrieval.approximate import Lists, read_lists
from textdiff.retrieval.exact import Nearest, nearest_rows
from textdiff.retrieval.grouping import groups_of
from textdiff.retrieval.manifest import IndexedSource, Manifest, read_manifest
from textdiff.retrieval.planes import StoredRows, UnitRows
from textdiff.retrieval.query import Found, Hit
from textdiff.retrieval.settings import NEAR_DUPLICATES
from textdiff.retrieval.shard import Shard, open_shard
from textdiff.retrieval.sources import OpenedSource, open_source, read_picture

LOOKED_AT = 4  # rows for each hit that is asked for, as some of them are one group
MOST_LOOKED_AT = 4096


@dataclass(frozen=True)
class Index:
    """Rows 0..n-1, each a picture; those that were removed keep their numbers. `len`: rows that are
    there."""

    path: Path
    manifest: Manifest
    shards: Sequence[Shard] = field(repr=False)
    _opened: dict[tuple[int, int | None], OpenedSource] = field(default_factory=dict, repr=False)

    @classmethod
    def open(cls, path: str | Path) -> Index:
        """Checks every file against its hash.

        Raises:
            DataError: no index, an unfinished or a damaged one.
        """
        index = cls.read(Path(path).expanduser())
        if index.manifest.calibration is None:
            raise DataError(
                f"{path} was not built to its end; the 'textdiff index build' that began it "
                "continues it"
            )
        return index

    @classmethod
    def read(cls, folder: Path) -> Index:
        """The same of one that need not be finished."""
        manifest = read_manifest(folder)
        return cls(folder, manifest, [open_shard(folder, entry) for entry in manifest.shards])

    def check_clip(self, protocol: ExtractorProtocol) -> None:
        """Raises UsageError where a CLIP is another one than this index'."""
        own = self.manifest.extractor
        if not own.same_as(protocol):
            raise UsageError(
                f"{self.path} is an index of {self.manifest.clip} (weights {own.weights}), not of "
                f"{protocol.name} (weights {protocol.weights}); give the former with --clip, or "
                "build an index of the latter"
            )

    def __len__(self) -> int:
        return self.rows.live

    @cached_property
    def rows(self) -> StoredRows:
        """Features of length 1."""
        return StoredRows([shard.planes for shard in self.shards], self.manifest.gone())

    def live_rows(self) -> np.ndarray:
        """(n,) numbers of the rows that are there, ascending."""
        gone = self.rows.gone
        return np.arange(len(self.rows)) if gone is None else np.flatnonzero(~gone)

    def pictures_by_source(self) -> list[int]:
        """How many rows each source of the manifest has."""
        counts = [0] * len(self.manifest.sources)
        gone = self.rows.gone
        for shard, first in zip(self.shards, self.rows.starts.tolist(), strict=False):
            size = len(shard.planes)
            removed = 0 if gone is None else int(gone[first : first + size].sum())
            counts[shard.source] += size - removed
        return counts

    @property
    def dim(self) -> int:
        return self.manifest.extractor.dim

    def caption(self, row: int) -> str:
        """The first one of a row, or "". Raises UsageError, as all that takes a row."""
        return next(iter(self.captions(row)), "")

    def captions(self, row: int) -> list[str]:
        shard, local = self._place(row)
        return shard.captions[local].split("\n") if shard.captions[local] else []

    def identifier(self, row: int) -> str:
        """What its source calls it."""
        shard, local = self._place(row)
        return shard.identifiers[local]

    def source(self, row: int) -> IndexedSource:
        return self.manifest.sources[self._place(row)[0].source]

    def where(self, row: int) -> str:
        """The picture's file where it is one, else its source and its name there."""
        source, identifier = self.source(row), self.identifier(row)
        if source.settings["kind"] in IN_FOLDERS:
            return str(Path(source.settings["source"]) / identifier)
        return f"{source.name}: {identifier}"

    def picture(self, row: int, size: int | None = None) -> Image:
        """Square, as the index' CLIP sees it, or of another size.

        Raises:
            DataError: its source is not where it was, or has it no more.
        """
        number, source = self._place(row)[0].source, self.source(row)
        opened = self._opened.get((number, size))
        if opened is None:
            opened = self._opened[number, size] = open_source(source, size)
        return read_picture(source, opened, self.identifier(row))

    @cached_property
    def lists(self) -> Lists | None:
        """For approximate search; None: this index has none. Raises UsageError, DataError."""
        entry = self.manifest.lists
        return read_lists(self.path, entry) if entry else None

    def recall(self, exact: bool) -> float | None:
        """Of a search; None: it is exact."""
        entry = self.manifest.lists
        return entry.recall if entry and not exact else None

    def nearest_to_row(
        self,
        row: int,
        top: int = 20,
        near: float | None = NEAR_DUPLICATES,
        exact: bool = False,
    ) -> Found:
        """Pictures like that of a row, without it.

        Args:
            near: cosine from which pictures are listed once; None: all are listed.
            exact: look at every picture, even where the index has lists.

        Raises:
            UsageError: no such row, or a top below 1.
        """
        start = time.perf_counter()
        self._place(row)
        calibration = self.manifest.calibration
        threshold = calibration.picture if calibration else None
        hits = self.hits(self.rows.take([row]), top, near, without=row, exact=exact)
        return Found(
            hits=hits,
            threshold=threshold.value if threshold else None,
            quantile=threshold.quantile if threshold else None,
            seconds=time.perf_counter() - start,
            recall=self.recall(exact),
        )

    def hits(
        self,
        query: UnitRows,
        top: int,
        near: float | None,
        *,
        without: int | None = None,
        like: UnitRows | None = None,
        exact: bool = False,
    ) -> list[Hit]:
        """The `top` nearest groups of pictures.

        Args:
            query: (1, D).
            near: cosine from which pictures are one group; None: each is its own.
            without: a row that is none of them.
            like: (1, D) what their likeness is to; None: the query.
            exact: look at every row, even where the index has lists.

        Raises:
            UsageError: a top below 1.
        """
        if top < 1:
            raise UsageError(f"top {top}; give 1 or more")
        wanted = top + (without is not None)
        looked_at = wanted if near is None else min(LOOKED_AT * wanted, MOST_LOOKED_AT)
        while True:
            nearest = self._nearest(query, looked_at, exact)
            rows, scores = nearest.rows[0].numpy(), nearest.scores[0].numpy()
            kept = rows != without
            rows, scores = rows[kept], scores[kept]
            first = self._groups(rows, near)
            leaders = np.flatnonzero(first == np.arange(len(first)))
            enough = len(leaders) >= top or looked_at >= len(self)
            if enough or looked_at >= MOST_LOOKED_AT:
                break
            looked_at = min(4 * looked_at, MOST_LOOKED_AT)
        sizes, likeness = np.bincount(first, minlength=len(first)), scores
        if like is not None and len(rows):
            likeness = (self.rows.take(rows) @ like[0]).numpy()
        return [
            Hit(
                row=int(rows[k]),
                score=float(scores[k]),
                likeness=float(likeness[k]),
                caption=self.caption(int(rows[k])),
                where=self.where(int(rows[k])),
                group_size=int(sizes[k]),
            )
            for k in leaders[:top]
        ]

    def _nearest(self, query: UnitRows, k: int, exact: bool) -> Nearest:
        lists = None if exact else self.lists
        return lists.nearest(query, self.rows, k) if lists else nearest_rows(query, self.rows, k)

    def _groups(self, rows: np.ndarray, near: float | None) -> np.ndarray:
        if near is None or not len(rows):
            return np.arange(len(rows))
        return groups_of(self.rows.take(rows), near)

    def _place(self, row: int) -> tuple[Shard, int]:
        """Its shard and its number there."""
        gone = self.rows.gone
        if not 0 <= row < len(self.rows) or (gone is not None and gone[row]):
            raise UsageError(
                f"row {row} is not in the index {self.path}, which has {len(self)} of rows 0 to "
                f"{len(self.rows) - 1}"
            )
        number = int(np.searchsorted(self.rows.starts, row, side="right")) - 1
        return self.shards[number], row - int(self.rows.starts[number])


def unit(features: torch.Tensor) -> torch.Tensor:
    """(n, D) float32 rows of length 1, by way of float64, as rows of an index are made."""
    return torch.nn.functional.normalize(features.double(), dim=1).float()
