"""Equal rows are found, and computed once."""

from __future__ import annotations

import pytest
import torch

from textdiff.clip.distinct import distinct_rows, once_per_row


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16, torch.float64])
def test_which_rows_are_equal(dtype):
    rows = torch.tensor([[1, 2], [3, 4], [1, 2], [4, 3], [3, 4]]).to(dtype)
    first, which = distinct_rows(rows)
    assert (first.tolist(), which.tolist()) == ([0, 1, 3], [0, 1, 0, 2, 1])
    assert [index.tolist() for index in distinct_rows(rows[:0])] == [[], []]


def test_each_is_computed_once_and_found_where_it_stands():
    rows = torch.tensor([[1.0], [2.0], [1.0]])
    seen = []

    def compute(distinct: torch.Tensor) -> torch.Tensor:
        seen.append(distinct.tolist())
        return distinct * 2

    assert once_per_row(compute, rows).tolist() == [[2.0], [4.0], [2.0]]
    assert seen == [[[1.0], [2.0]]]
