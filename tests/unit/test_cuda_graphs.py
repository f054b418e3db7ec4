"""Recordings give what the function gives, for whatever inputs; those not used for long go."""

from __future__ import annotations

import torch

from tests.helpers.recording import rerun
from textdiff.cuda_graphs import Graphs


def difference(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a - b


def test_later_calls_see_their_own_inputs():
    graphs = Graphs(record=rerun)
    a, b = torch.tensor([1.0, 2.0]), torch.tensor([0.5, 0.5])
    assert graphs("key", difference, a, b).tolist() == [0.5, 1.5]
    assert graphs("key", difference, b, a).tolist() == [-0.5, -1.5]
    assert len(graphs) == 1


def test_an_input_written_to_in_place_is_seen():
    graphs = Graphs(record=rerun)
    a, b = torch.tensor([1.0]), torch.tensor([0.0])
    graphs("key", difference, a, b)
    a += 1
    assert graphs("key", difference, a, b).tolist() == [2.0]


def test_an_output_outlives_the_next_playing():
    graphs = Graphs(record=rerun)
    first = graphs("key", difference, torch.tensor([1.0]), torch.tensor([0.0]))
    graphs("key", difference, torch.tensor([7.0]), torch.tensor([0.0]))
    assert first.tolist() == [1.0]


def test_keys_shapes_and_types_have_recordings_of_their_own():
    graphs = Graphs(record=rerun)
    one, two = torch.ones(1), torch.ones(2)
    graphs("key", difference, one, one)
    graphs("other", difference, one, one)
    graphs("key", difference, two, two)
    assert graphs("key", difference, one.double(), one.double()).dtype == torch.float64
    assert len(graphs) == 4


def test_those_used_last_are_kept():
    recorded = []

    def noted(function, inputs):
        recorded.append(len(inputs[0]))
        return rerun(function, inputs)

    graphs = Graphs(most=2, record=noted)
    for length in (1, 2, 1, 3, 1, 2):
        graphs("key", difference, torch.ones(length), torch.ones(length))
    assert recorded == [1, 2, 3, 2]
    graphs.clear()
    assert len(graphs) == 0
