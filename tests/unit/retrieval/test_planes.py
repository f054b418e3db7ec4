"""Two planes of 16 bits hold float32 rows without loss, and their error is what it says."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tests.helpers.indexes import stored
from textdiff.retrieval.planes import Planes

finite = st.floats(-1e6, 1e6, width=32)
matrices = arrays.arrays(
    np.float32, st.tuples(st.integers(1, 5), st.integers(1, 7)), elements=finite
)


@given(matrices)
def test_rows_come_back_to_the_bit(values):
    rows = torch.from_numpy(values)
    planes = Planes.of(rows)
    taken = planes.take(torch.arange(len(rows)))
    assert torch.equal(taken.view(torch.int32), rows.view(torch.int32))


@given(matrices)
def test_the_coarse_plane_is_as_near_as_bfloat16_can_be(values):
    rows = torch.from_numpy(values)
    planes = Planes.of(rows)
    nearest = (rows - rows.bfloat16().float()).abs()
    assert torch.equal((rows - planes.coarse.float()).abs(), nearest)
    lengths = torch.linalg.vector_norm(rows.double() - planes.coarse.double(), dim=1)
    assert planes.error == lengths.max().item()


def test_rows_of_several_parts_are_numbered_through():
    rows = torch.randn(10, 3, generator=torch.Generator().manual_seed(0))
    parts = stored(rows[:4], rows[4:5], rows[5:])
    order = [9, 0, 4, 3, 5, 4]
    assert torch.equal(parts.take(order), rows[order])
    assert torch.equal(parts.later(4).take([0, 5]), rows[[4, 9]])
    tiles = list(parts.tiles(3))
    assert [start for start, _ in tiles] == [0, 3, 4, 5, 8]
    assert torch.equal(torch.cat([tile for _, tile in tiles]), rows.bfloat16())


def test_rows_that_are_gone_are_not_counted():
    assert stored(torch.zeros(4, 2), torch.zeros(3, 2), gone=[1, 5]).live == 5
