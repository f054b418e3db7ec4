"""The nearest rows of a query among many, by looking at a part of them (extra `retrieval`).

    rows ── k-means ──► lists, a byte per number (faiss)
    query ──► candidates of the nearest lists ──► exact products ──► the k largest

How many lists are looked at is what it takes for a recall of `RECALL` on the index' own queries.
Scores are exact; only a row that no list offers is missed. Rows that were added after the lists
were made are looked at one and all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import torch

from textdiff.errors import DataError, require_extra
from textdiff.files import replacing
from textdiff.manifests import sha256_of
from textdiff.retrieval.exact import Nearest, nearest_rows
from textdiff.retrieval.manifest import ListsEntry
from textdiff.retrieval.planes import StoredRows, UnitRows

if TYPE_CHECKING:
    import faiss

# An exact query takes 0.23 s of one core (AMD EPYC, AVX512) for each million rows of 512 numbers:
# half a second at this size, which is where people begin to wait.
APPROXIMATE_FROM = 2_000_000
RECALL, RECALL_TOP = 0.95, 100
CANDIDATES = 4  # for each row that is asked for
LEARNED_FROM = 64  # rows for each list
BLOCK = 65536  # rows that are added at once
PURPOSE = "approximate search"


@dataclass(frozen=True)
class Lists:
    """index: of faiss, whose ids are row numbers. rows: the first ones, which are in it. recall: of
    the `RECALL_TOP` nearest."""

    index: faiss.IndexIVF
    rows: int
    recall: float

    @classmethod
    def of(cls, stored: StoredRows, queries: UnitRows) -> Lists:
        """Of all rows. queries: (q, D), for which the recall is measured.

        Raises:
            UsageError: faiss is not installed.
        """
        require_extra("retrieval", PURPOSE)
        import faiss

        count, dim = len(stored), queries.shape[1]
        number = max(1, min(int(4 * math.sqrt(count)), count // 39))
        quantizer = faiss.IndexFlatIP(dim)
        index = faiss.IndexIVFScalarQuantizer(
            *(quantizer, dim, number, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
        )
        learned = min(count, LEARNED_FROM * number)
        index.train(stored.take(np.arange(learned) * count // learned).numpy())
        for start in range(0, count, BLOCK):
            index.add(stored.take(np.arange(start, min(start + BLOCK, count))).numpy())
        return cls(index, count, 0.0)._tuned(stored, queries)

    def _tuned(self, stored: StoredRows, queries: UnitRows) -> Lists:
        """Looking at no more lists than `RECALL` takes."""
        true = nearest_rows(queries, stored, RECALL_TOP).rows
        probes, lists = 1, self
        while True:
            lists.index.nprobe = probes
            hits = 0
            for query, rows in zip(queries.split(1), true.tolist(), strict=True):
                found = lists.nearest(query, stored, RECALL_TOP).rows[0].tolist()
                hits += len({*found} & {*rows})
            lists = replace(lists, recall=hits / max(1, true.numel()))
            if lists.recall >= RECALL or probes >= self.index.nlist:
                return lists
            probes *= 2

    def nearest(self, query: UnitRows, stored: StoredRows, k: int) -> Nearest:
        """As `nearest_rows` of one query (1, D), but for rows that are not found."""
        _, found = self.index.search(query.numpy(), CANDIDATES * k)
        rows = found[0][found[0] >= 0]
        if stored.gone is not None:
            rows = rows[~stored.gone[rows]]
        scores = (stored.take(rows).double() * query.double()).sum(dim=1).numpy()
        later = stored.later(self.rows)
        if len(later):
            nearest = nearest_rows(query, later, k)
            rows = np.concatenate([rows, nearest.rows[0].numpy() + self.rows])
            scores = np.concatenate([scores, nearest.scores[0].numpy()])
        best = np.lexsort((rows, -scores))[:k]
        return Nearest(torch.from_numpy(scores[best])[None], torch.from_numpy(rows[best])[None])


def write_lists(folder: Path, lists: Lists) -> ListsEntry:
    """Raises OSError."""
    import faiss

    path = folder / "lists.faiss"
    with replacing(path) as temporary:
        faiss.write_index(lists.index, str(temporary))
    sha256, size = sha256_of(path), path.stat().st_size
    named = path.with_name(f"lists-{sha256[:8]}.faiss")
    path.replace(named)
    return ListsEntry(named.name, lists.rows, lists.recall, size, sha256)


def read_lists(folder: Path, entry: ListsEntry) -> Lists:
    """Mapped, not read.

    Raises:
        UsageError: faiss is not installed. DataError: the file is missing or damaged.
    """
    require_extra("retrieval", f"{PURPOSE} of {folder} (--exact true does not)")
    import faiss

    path = folder / entry.file
    if not path.is_file() or path.stat().st_size != entry.size or sha256_of(path) != entry.sha256:
        raise DataError(f"{path} is missing or damaged; search with --exact true, or copy it again")
    index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP | faiss.IO_FLAG_READ_ONLY)
    return Lists(cast("faiss.IndexIVF", index), entry.rows, entry.recall)
