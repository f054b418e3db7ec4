"""Ranks of right pairs among all, for the rows and for the columns of one table of scores:

    s(i, j) = row_i . column_j                     a tile at a time, for both directions
    best(i) = max of s(i, j) over the right j      from the tiles with right pairs, made first
    rank(i) = 1 + #{wrong j : not s(i, j) < best(i)}
            = 1 + #{j} - #{j : s(i, j) < best(i)} - #{right j : not s(i, j) < best(i)}

and the same of columns. So ties count against, and so does a score that is not a number. Equal rows
are multiplied once, which makes them tie, and the score of a right pair is that of its tile to the
bit: a product by itself would be rounded in another way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from textdiff.clip.distinct import distinct_rows

TILE = 1024  # rows on each side: 4 MB of float32 scores


@torch.no_grad()
def pair_ranks(
    rows: Float[Tensor, "n dim"],
    columns: Float[Tensor, "m dim"],
    row: Int[Tensor, " pairs"],
    column: Int[Tensor, " pairs"],
) -> tuple[Int[Tensor, " n"], Int[Tensor, " m"]]:
    """Rank (n,) of each row's best right column, and (m,) of each column's best right row, 1 the
    best, on the features' device.

    Args:
        row, column: pair k, of row[k] and column[k], is right; no pair twice. What has none comes
            after all others.
    """
    row, column = row.to(rows.device), column.to(rows.device)
    down = _Side.of(rows)
    # in the order of the rows that they are right for, so that few tiles hold right pairs
    nearest = row.new_full((len(columns),), len(rows))
    across = _Side.of(columns, nearest.scatter_reduce(0, column, down.place[row], "amin"))
    table = _Table(down.features, across.features)
    right = table.scores(down.place[row], across.place[column])
    best_down, best_across = down.best(row, right), across.best(column, right)
    below_down, below_across = torch.zeros_like(down.place), torch.zeros_like(across.place)
    for span, other in table.tiles():
        tile = table.tile(span, other)
        down.count_below(below_down, span, tile, best_down, across.times[other])
        across.count_below(below_across, other, tile.T, best_across, down.times[span])
    return (
        1 + len(columns) - below_down - _not_below(row, right, best_down),
        1 + len(rows) - below_across - _not_below(column, right, best_across),
    )


def _not_below(
    row: Int[Tensor, " pairs"], right: Float[Tensor, " pairs"], best: Float[Tensor, " n"]
) -> Int[Tensor, " n"]:
    """How many of each row's right ones do not score below the best of them."""
    return torch.zeros_like(best, dtype=torch.long).index_add(0, row, (~(right < best[row])).long())


@dataclass(frozen=True)
class _Side:
    """The rows of one side.

    features: distinct ones. place: of each row among them. times: how many rows are equal to each.
    by_place: rows in the order of their places. starts: where those of each place begin.
    """

    features: Float[Tensor, "d dim"]
    place: Int[Tensor, " n"]
    times: Int[Tensor, " d"]
    by_place: Int[Tensor, " n"]
    starts: list[int]  # d + 1

    @classmethod
    def of(cls, rows: Tensor, order: Int[Tensor, " n"] | None = None) -> _Side:
        """order: (n,) what distinct rows are sorted by; None: the order that they come in."""
        first, which = (index.to(rows.device) for index in distinct_rows(rows))
        if order is not None:
            sorted_places = order[first].argsort(stable=True)
            first, which = first[sorted_places], sorted_places.argsort()[which]
        times = torch.bincount(which, minlength=len(first))
        starts = [0, *times.cumsum(0).tolist()]
        return cls(rows[first], which, times, which.argsort(stable=True), starts)

    def best(self, row: Int[Tensor, " pairs"], right: Float[Tensor, " pairs"]) -> Tensor:
        """(n,) the highest score of each row's right pairs; NaN where one is."""
        return right.new_full((len(self.place),), -math.inf).scatter_reduce(0, row, right, "amax")

    def count_below(
        self,
        below: Int[Tensor, " n"],
        span: slice,
        tile: Float[Tensor, "r c"],
        best: Float[Tensor, " n"],
        times: Int[Tensor, " c"],
    ) -> None:
        """Adds to `below` how many scores of a tile, of the places in `span`, are below each row's
        best. times: how often each column counts."""
        rows = self.by_place[self.starts[span.start] : self.starts[span.stop]]
        if len(rows) > len(tile):  # some are equal
            tile = tile[self.place[rows] - span.start]
        below[rows] += weighted_sum(tile < best[rows, None], times)


def weighted_sum(marked: Bool[Tensor, "r c"], times: Int[Tensor, " c"]) -> Int[Tensor, " r"]:
    """sum_j marked[i, j] times[j]."""
    if len(times) == int(times.sum()):
        # bytes are added up faster than bools
        return marked.view(torch.uint8).sum(dim=1, dtype=torch.int32).long()
    return (marked * times).sum(dim=1)


class _Table:
    """Scores of rows (n, D) with columns (m, D), all different."""

    def __init__(self, rows: Tensor, columns: Tensor) -> None:
        self._rows, self._columns = rows, columns
        # one buffer: tiles that are freed and asked for again leave the heap in pieces
        self._buffer = rows.new_empty(TILE * TILE)

    def tiles(self) -> list[tuple[slice, slice]]:
        """All of them, those of the first rows first."""
        return [(r, c) for r in _spans(len(self._rows)) for c in _spans(len(self._columns))]

    def tile(self, rows: slice, columns: slice) -> Float[Tensor, "r c"]:
        """The same to the bit each time; overwritten by the next one."""
        left, right = self._rows[rows], self._columns[columns]
        out = self._buffer[: len(left) * len(right)].view(len(left), len(right))
        return torch.mm(left, right.T, out=out)

    def scores(
        self, row: Int[Tensor, " pairs"], column: Int[Tensor, " pairs"]
    ) -> Float[Tensor, " pairs"]:
        """Of some pairs, as their tiles have them."""
        across = -(-len(self._columns) // TILE)
        number = row // TILE * across + column // TILE
        order = number.argsort(stable=True)
        needed, sizes = number[order].unique_consecutive(return_counts=True)
        found = self._rows.new_empty(len(row))
        tiles = self.tiles()
        for tile, pairs in zip(needed.tolist(), order.split(sizes.tolist()), strict=True):
            rows, columns = tiles[tile]
            scores = self.tile(rows, columns)
            found[pairs] = scores[row[pairs] - rows.start, column[pairs] - columns.start]
        return found


def _spans(count: int) -> list[slice]:
    return [slice(start, min(start + TILE, count)) for start in range(0, count, TILE)]
