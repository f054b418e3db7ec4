"""Tiles cover every pair once, whatever their size, and what lies on the diagonal is known."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textdiff.metrics.tiles import prepared, spans, tiles_between, tiles_within

counts = st.integers(1, 12)


def rows(count: int, seed: int) -> torch.Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(count=st.integers(0, 40), size=st.integers(1, 45))
def test_spans_cover_every_row_once(count, size):
    found = list(spans(count, size))
    assert [i for span in found for i in range(span.start, span.stop)] == list(range(count))
    assert all(0 < span.stop - span.start <= size for span in found)


@settings(max_examples=40)
@given(n=counts, m=counts, height=counts, width=counts, unit=st.booleans())
def test_tiles_between_are_the_whole_product(n, m, height, width, unit):
    x, y = rows(n, 0), rows(m, 1)
    whole = torch.full((n, m), torch.nan, dtype=torch.float64)
    for tile in tiles_between(x, y, torch.float64, unit, (height, width)):
        assert whole[tile.rows, tile.columns].isnan().all()  # none comes twice
        assert tile.products.shape[0] <= height
        assert tile.products.shape[1] <= width
        whole[tile.rows, tile.columns] = tile.products
    if unit:
        x, y = (each / each.norm(dim=1, keepdim=True) for each in (x, y))
    torch.testing.assert_close(whole, x @ y.T)


@settings(max_examples=40)
@given(n=counts, size=counts)
def test_tiles_within_are_one_triangle(n, size):
    x = rows(n, 2)
    whole = torch.full((n, n), torch.nan, dtype=torch.float64)
    for tile in tiles_within(x, torch.float64, size=size):
        assert tile.on_diagonal == (tile.rows.start == tile.columns.start)
        assert whole[tile.rows, tile.columns].isnan().all()
        whole[tile.rows, tile.columns] = tile.products
        if not tile.on_diagonal:
            assert whole[tile.columns, tile.rows].isnan().all()
            whole[tile.columns, tile.rows] = tile.products.T
    torch.testing.assert_close(whole, x @ x.T)


def test_rows_that_need_a_gradient_and_half_precision_are_made_plain_numbers():
    found = prepared(torch.ones(2, 3, dtype=torch.float16, requires_grad=True), torch.float64)
    assert (found.dtype, found.requires_grad) == (torch.float64, False)


def test_unit_rows_are_normalised_before_they_are_rounded():
    """A row whose squared length overflows float16, and all but overflows float32."""
    found = prepared(torch.tensor([[3e4, 4e4]]).half(), torch.float32, unit=True)
    torch.testing.assert_close(found, torch.tensor([[0.6, 0.8]]), atol=1e-3, rtol=0)
    assert abs(found.double().norm().item() - 1) < 1e-7
