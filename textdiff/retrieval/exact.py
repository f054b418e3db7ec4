"""The k rows with the largest product with each query, exactly, in memory of a tile:

    tile of the coarse plane @ queries ──► products a, |a - s| <= b of the exact s
    keep the pairs with  a >= A - 2b                   A: k-th largest a of the query so far
    at the end           s = sum x_i q_i in float64 of what was kept, the k largest

No row of the true k is lost: k rows have s >= A - b, so a row that belongs to them has s >= A - b
and a >= A - 2b. By Cauchy and Schwarz, for rows x and queries q whose coarse forms lack dx and dq

    |a - s| <= |dx| |q| + |dq| (|x| + |dx|) + rounding of the sum.

bfloat16 products are rounded once more, to nearest; as that is monotone, a >= round(A - 2b) with A
less its own rounding. Rows with equal products come in the order of their numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from textdiff.precision import bf16_pays
from textdiff.retrieval.planes import StoredRows, UnitRows

TILE = 4096  # rows: 2 MB of products with 256 queries, which stay in a core's cache
QUERIES = 256  # at once
WORTH_A_PROBE = 2e10  # multiplications that take longer than to find out which dtype is faster
RESCORED = 512  # pairs at once: 2 MB of float64 rows of 512
BF16_ROUNDING = 2.0**-8
FLOAT32_ROUNDING = 2.0**-23  # of a sum of D terms D times as much


@dataclass(frozen=True)
class Nearest:
    """scores: (q, k) float64, descending. rows: (q, k) their numbers."""

    scores: Float[Tensor, "q k"]
    rows: Int[Tensor, "q k"]


def nearest_rows(
    queries: UnitRows, stored: StoredRows, k: int, bf16: bool | None = None
) -> Nearest:
    """For each query the min(k, number of rows) rows with the largest product.

    Args:
        queries: float32, of length 1 or so.
        bf16: multiply in bfloat16; None: where that is faster.

    Raises:
        ValueError: queries that are not finite, or k below 1.
    """
    if k < 1 or not queries.isfinite().all():
        raise ValueError(f"k = {k}; give 1 or more, and queries that are finite")
    k = min(k, stored.live)
    if bf16 is None:
        work = float(len(queries)) * len(stored) * queries.shape[1]
        bf16 = work > WORTH_A_PROBE and bf16_pays("cpu")
    parts = [_nearest(part, stored, k, bf16) for part in torch.split(queries, QUERIES)] if k else []
    if not parts:
        empty = torch.zeros(len(queries), 0)
        return Nearest(empty.double(), empty.long())
    return Nearest(torch.cat([p.scores for p in parts]), torch.cat([p.rows for p in parts]))


def _nearest(queries: UnitRows, stored: StoredRows, k: int, bf16: bool) -> Nearest:
    right = queries.to(torch.bfloat16 if bf16 else torch.float32)
    pool = _Pool(queries, stored, k, bound(queries, right, stored), bf16)
    products = torch.empty(TILE, len(queries), dtype=right.dtype)
    for start, tile in stored.tiles(TILE):
        out = products[: len(tile)]
        torch.mm(tile.to(right.dtype), right.T, out=out)
        if stored.gone is not None:
            out[torch.from_numpy(stored.gone[start : start + len(tile)])] = -torch.inf
        pool.offer(start, out)
    return pool.settled()


def bound(queries: UnitRows, coarse: Tensor, stored: StoredRows) -> np.ndarray:
    """(q,) b of each query: how far its products are from the exact ones, at most."""
    exact = queries.double()
    length = torch.linalg.vector_norm(exact, dim=1)
    lacking = torch.linalg.vector_norm(exact - coarse.double(), dim=1)
    longest = 1.0 + 2 * stored.error  # of a row, exact or coarse, made unit in float32
    summed = queries.shape[1] * FLOAT32_ROUNDING * longest * length
    return (stored.error * length + lacking * longest + summed + 1e-6).numpy()


class _Pool:
    """Pairs (query, row) that can be among the k best of their query, with their products a."""

    def __init__(
        self, queries: UnitRows, stored: StoredRows, k: int, bounds: np.ndarray, bf16: bool
    ) -> None:
        self._queries, self._stored, self._k = queries.double(), stored, k
        self._bounds, self._bf16 = bounds, bf16
        self._floor = np.full(len(queries), -np.inf)  # of a, by query
        self._pairs: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self._count, self._most = 0, 2 * k * len(queries)

    def offer(self, start: int, products: Tensor) -> None:
        """products: (rows, q) of the rows from number `start` on."""
        if np.isneginf(self._floor).any() and len(products) >= self._k:
            best = products.topk(self._k, dim=0).values[-1]
            self._raise_floor(best.double().numpy())
        flat = np.flatnonzero(self._reaching(products))
        row, query = np.divmod(flat, products.shape[1])
        value = products.flatten()[torch.from_numpy(flat)].float().numpy()
        if np.isneginf(self._floor).any():  # rows that are gone reach it too
            there = ~np.isneginf(value)
            row, query, value = row[there], query[there], value[there]
        self._pairs.append((query.astype(np.int32), row + start, value))
        self._count += len(value)
        if self._count > self._most:
            self._prune()

    def _reaching(self, products: Tensor) -> np.ndarray:
        """(rows, q) whether a product reaches its query's floor."""
        floor = torch.from_numpy(self._floor).to(products.dtype)
        if self._bf16 and bool((floor > 0).all()):  # then the order is that of the bits
            bits = products.view(torch.int16).numpy(), floor.view(torch.int16).numpy()
            return np.greater_equal(*bits)
        return (products >= floor).numpy()

    def _raise_floor(self, best: np.ndarray) -> None:
        """best: (q,) the k-th largest a of some rows; -inf where there are fewer."""
        rounding = BF16_ROUNDING * np.abs(best) if self._bf16 else 0.0
        lowest = np.where(np.isneginf(best), best, best - rounding - 2 * self._bounds)
        # a float32 floor is rounded down; a bfloat16 one like the products themselves
        lowest = lowest if self._bf16 else np.nextafter(lowest.astype(np.float32), -np.inf)
        self._floor = np.maximum(self._floor, lowest)

    def _prune(self) -> None:
        """Drops pairs below the floors that all of them give; where too many stay, such as those
        of equal rows, all but the k best of each query by exact products."""
        query, row, value = self._sorted()
        self._raise_floor(self._kth(query, value))
        floor = torch.from_numpy(self._floor).to(torch.bfloat16 if self._bf16 else torch.float32)
        kept = value >= floor.float().numpy()[query]
        query, row, value = query[kept], row[kept], value[kept]
        if len(value) > 8 * self._k * len(self._queries):
            best = self._rank(query, row)[1]
            query, row, value = query[best], row[best], value[best]
        self._pairs, self._count = [(query, row, value)], len(value)
        self._most = 2 * max(self._count, self._k * len(self._queries))

    def _sorted(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All pairs, by query, then by descending a."""
        query, row, value = (np.concatenate(column) for column in zip(*self._pairs, strict=True))
        order = np.lexsort((-value, query))
        return query[order], row[order], value[order]

    def _kth(self, query: np.ndarray, value: np.ndarray) -> np.ndarray:
        """(q,) the k-th value of each query, of sorted pairs; -inf where there are fewer."""
        counts = np.bincount(query, minlength=len(self._queries))
        best = np.full(len(counts), -np.inf)
        enough = counts >= self._k
        best[enough] = value[(np.cumsum(counts) - counts + self._k - 1)[enough]]
        return best

    def _rank(self, query: np.ndarray, row: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Exact products (n,), and which pairs are the k best of their query, in order."""
        exact, by_row = np.empty(len(row)), np.argsort(row)  # neighbours lie in one part
        for start in range(0, len(row), RESCORED):
            some = by_row[start : start + RESCORED]
            rows = self._stored.take(row[some]).double()
            exact[some] = (rows * self._queries[torch.from_numpy(query[some])]).sum(dim=1).numpy()
        order = np.lexsort((row, -exact, query))
        counts = np.bincount(query, minlength=len(self._queries))
        firsts = np.repeat(np.cumsum(counts) - counts, counts)
        return exact, order[np.arange(len(order)) - firsts < self._k]

    def settled(self) -> Nearest:
        query, row, value = self._sorted()
        self._raise_floor(self._kth(query, value))
        floor = torch.from_numpy(self._floor).to(torch.bfloat16 if self._bf16 else torch.float32)
        kept = value >= floor.float().numpy()[query]
        query, row = query[kept], row[kept]
        exact, best = self._rank(query, row)
        shape = len(self._queries), self._k
        return Nearest(
            torch.from_numpy(exact[best]).view(shape), torch.from_numpy(row[best]).view(shape)
        )
