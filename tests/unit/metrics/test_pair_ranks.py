"""Ranks of both directions from one table, a tile at a time, against the whole table at once."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from textdiff.metrics import pair_ranks as module
from textdiff.metrics.pair_ranks import pair_ranks, weighted_sum
from textdiff.metrics.retrieval import ranks


def whole_numbers(count: int, seed: int) -> Tensor:
    """Rows whose products are exact, and often equal."""
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(-2, 3, (count, 4), generator=rng).float()


def by_definition(
    rows: Tensor, columns: Tensor, row: Tensor, column: Tensor
) -> tuple[list[int], list[int]]:
    scores, correct = rows @ columns.T, torch.zeros(len(rows), len(columns), dtype=torch.bool)
    correct[row, column] = True
    return ranks(scores, correct).tolist(), ranks(scores.T, correct.T).tolist()


def some_pairs(num_rows: int, num_columns: int, seed: int) -> tuple[Tensor, Tensor]:
    """Each row and each column has one or more."""
    rng = torch.Generator().manual_seed(seed)
    correct = torch.rand(num_rows, num_columns, generator=rng) < 0.2
    correct[torch.arange(num_rows), torch.arange(num_rows) % num_columns] = True
    correct[torch.arange(num_columns) % num_rows, torch.arange(num_columns)] = True
    row, column = correct.nonzero().T
    mixed = torch.randperm(len(row), generator=rng)
    return row[mixed], column[mixed]


@settings(max_examples=60)
@given(st.integers(1, 12), st.integers(1, 12), st.integers(1, 6), st.integers(0, 10**6))
def test_it_is_the_whole_table_at_once(num_rows, num_columns, tile, seed):
    rows, columns = whole_numbers(num_rows, seed), whole_numbers(num_columns, seed + 1)
    row, column = some_pairs(num_rows, num_columns, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TILE", tile)
        down, across = pair_ranks(rows, columns, row, column)
    assert (down.tolist(), across.tolist()) == by_definition(rows, columns, row, column)


@pytest.mark.parametrize("tile", [3, 7, 64])
def test_equal_rows_tie_wherever_they_stand(tile, monkeypatch):
    """Products of real numbers are rounded by where a row stands in its tile."""
    monkeypatch.setattr(module, "TILE", tile)
    rows = torch.randn(20, 300, generator=torch.Generator().manual_seed(0)).repeat(2, 1)
    down, across = pair_ranks(rows, rows, torch.arange(40), torch.arange(40))
    assert down.tolist() == across.tolist() == [2] * 40


@pytest.mark.parametrize("side", ["row", "column"])
def test_what_is_not_a_number_comes_last(side):
    rows, columns = torch.eye(4), torch.eye(4)
    (rows if side == "row" else columns)[1] = torch.nan
    pairs = torch.arange(4)
    down, across = pair_ranks(rows, columns, pairs, pairs)
    spoilt, others = (down, across) if side == "row" else (across, down)
    assert spoilt.tolist() == [1, 4, 1, 1]
    assert others.tolist() == [2, 4, 2, 2]


def test_a_column_that_is_right_for_no_row_comes_after_all():
    down, across = pair_ranks(
        torch.eye(3), torch.eye(3), torch.tensor([0, 1, 2]), torch.tensor([0, 1, 1])
    )
    assert down.tolist() == [1, 1, 3]
    assert across.tolist() == [1, 1, 4]


def test_a_weighted_sum_counts_each_column_as_often_as_said():
    marked = torch.tensor([[True, False, True], [False, True, True]])
    assert weighted_sum(marked, torch.tensor([1, 1, 1])).tolist() == [2, 2]
    assert weighted_sum(marked, torch.tensor([5, 1, 2])).tolist() == [7, 3]
    wide = torch.ones(2, 300, dtype=torch.bool)
    assert weighted_sum(wide, torch.ones(300, dtype=torch.long)).tolist() == [300, 300]
