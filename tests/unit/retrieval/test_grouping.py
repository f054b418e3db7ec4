"""Near duplicates: what is connected, directly or by way of others, is one group."""

from __future__ import annotations

import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from textdiff.retrieval.grouping import groups_of


def on_circle(*degrees: float) -> torch.Tensor:
    angles = torch.tensor([math.radians(each) for each in degrees])
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def test_a_chain_is_one_group():
    near = math.cos(math.radians(10.5))
    assert groups_of(on_circle(0, 90, 20, 10, 91, 45), near).tolist() == [0, 1, 0, 0, 1, 5]


@given(st.lists(st.floats(0, 360), min_size=1, max_size=12))
def test_groups_are_those_of_the_closure(degrees):
    rows = on_circle(*degrees)
    reach = (rows @ rows.T >= 0.95).double()
    for _ in degrees:
        reach = (reach @ reach > 0).double()
    assert groups_of(rows, 0.95).tolist() == reach.argmax(dim=1).tolist()
