"""Recordings give what the function gives, for whatever inputs; those not used for long go."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from tests.helpers.recording import rerun
from textdiff.cuda_graphs import COUNTED, Graphs


def difference(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return a - b


def test_later_calls_see_their_own_inputs():
    graphs = Graphs(plain_calls=0, record=rerun)
    a, b = torch.tensor([1.0, 2.0]), torch.tensor([0.5, 0.5])
    assert graphs("key", difference, a, b).tolist() == [0.5, 1.5]
    assert graphs("key", difference, b, a).tolist() == [-0.5, -1.5]
    assert len(graphs) == 1


def test_an_input_written_to_in_place_is_seen():
    graphs = Graphs(plain_calls=0, record=rerun)
    a, b = torch.tensor([1.0]), torch.tensor([0.0])
    graphs("key", difference, a, b)
    a += 1
    assert graphs("key", difference, a, b).tolist() == [2.0]


def test_an_output_outlives_the_next_playing():
    graphs = Graphs(plain_calls=0, record=rerun)
    first = graphs("key", difference, torch.tensor([1.0]), torch.tensor([0.0]))
    graphs("key", difference, torch.tensor([7.0]), torch.tensor([0.0]))
    assert first.tolist() == [1.0]


def test_keys_shapes_and_types_have_recordings_of_their_own():
    graphs = Graphs(plain_calls=0, record=rerun)
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

    graphs = Graphs(most=2, plain_calls=0, record=noted)
    for length in (1, 2, 1, 3, 1, 2):
        graphs("key", difference, torch.ones(length), torch.ones(length))
    assert recorded == [1, 2, 3, 2]
    graphs.clear()
    assert len(graphs) == 0


def counted(graphs: Graphs, calls: int) -> tuple[int, int]:
    """How often Python called the function itself, and the recorder, in so many equal calls."""
    plain, recorded = [], []
    graphs._record = lambda function, inputs: recorded.append(1) or rerun(difference, inputs)

    def function(a, b):
        plain.append(1)
        return a - b

    for k in range(calls):
        assert graphs("key", function, torch.tensor([float(k)]), torch.ones(1)).item() == k - 1
    return len(plain), len(recorded)


def test_a_few_calls_do_not_pay_for_a_recording():
    assert counted(Graphs(record=rerun), 3) == (3, 0)
    assert counted(Graphs(record=rerun), 9) == (3, 1)


def test_one_that_was_given_up_waits_again():
    graphs = Graphs(most=1, plain_calls=1, record=rerun)
    one, two = torch.ones(1), torch.ones(2)
    for each in (one, one, two, two):
        graphs("key", difference, each, each)
    assert len(graphs) == 1
    graphs("key", difference, one, one)  # counted anew: called
    graphs("key", difference, two, two)  # still there
    assert len(graphs) == 1


def test_shapes_that_come_once_are_not_counted_for_ever():
    graphs = Graphs(record=rerun)
    for length in range(100):
        graphs("key", difference, torch.ones(length), torch.ones(length))
    assert len(graphs._calls) == COUNTED


def test_a_recording_that_fails_is_the_last_one_and_says_why(caplog):
    tried = []

    def refused(function, inputs):
        tried.append(1)
        raise RuntimeError("operation not permitted\nwhen stream is capturing")

    graphs = Graphs(plain_calls=1, record=refused)
    for _ in range(4):
        assert graphs("key", difference, torch.ones(1), torch.zeros(1)).item() == 1
        assert graphs("key", difference, torch.ones(2), torch.zeros(2)).tolist() == [1, 1]
    assert tried == [1]
    assert graphs.for_run(nn.Linear(1, 1)) is None
    (record,) = caplog.records
    said = record.getMessage()
    assert "(operation not permitted when stream is capturing)" in said
    assert "--graphs false" in said


def test_what_recordings_hold_is_given_back_where_memory_lacks():
    graphs = Graphs(plain_calls=0, record=rerun)
    graphs("small", difference, torch.ones(1), torch.ones(1))
    graphs.plain_calls = 1

    def large(a, b):
        if len(graphs):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return a - b

    assert graphs("large", large, torch.ones(1), torch.zeros(1)).item() == 1
    assert len(graphs) == 0


def test_lack_of_memory_is_said_where_nothing_is_held():
    def larger(a, b):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        Graphs(record=rerun)("key", larger, torch.ones(1), torch.ones(1))


def test_copies_share_nothing():
    graphs = Graphs(most=7, plain_calls=0, record=rerun)
    graphs("key", difference, torch.ones(1), torch.ones(1))
    copied = copy.deepcopy(graphs)
    assert (len(copied), copied.most, copied.plain_calls) == (0, 7, 0)


class TestForRun:
    @pytest.fixture
    def network(self):
        return nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)).eval()

    @pytest.fixture
    def graphs(self, network):
        graphs = Graphs(plain_calls=0, record=rerun)
        assert graphs.for_run(network) is graphs
        graphs(network, network.forward, torch.ones(1, 2))
        return graphs

    def test_weights_written_in_place_are_read_by_what_is_there(self, graphs, network):
        with torch.no_grad():
            network[0].weight.add_(1)
        assert graphs.for_run(network) is graphs
        assert len(graphs) == 1
        torch.testing.assert_close(
            graphs(network, network.forward, torch.ones(1, 2)), network(torch.ones(1, 2))
        )

    @pytest.mark.parametrize("change", ["moved", "replaced", "other type", "other mode", "buffer"])
    def test_recordings_of_weights_elsewhere_are_dropped(self, graphs, network, change):
        if change == "moved":
            network[0].weight.data = network[0].weight.data.clone()
        elif change == "replaced":
            network[0].weight = nn.Parameter(torch.ones(2, 2))
        elif change == "other type":
            network[0].to(torch.bfloat16)
        elif change == "other mode":
            network.train()
        else:
            network[1].running_mean = torch.ones(2)
        assert graphs.for_run(network) is graphs
        assert len(graphs) == 0

    def test_other_networks_recordings_stay(self, graphs, network):
        assert graphs.for_run(nn.Linear(1, 1)) is graphs
        assert len(graphs) == 1

    def test_none_where_a_recording_would_not_do_the_same(self, graphs, network, monkeypatch):
        with torch.inference_mode():
            assert graphs.for_run(network) is None
        monkeypatch.setattr(torch, "is_autocast_enabled", lambda device: device == "cuda")
        assert graphs.for_run(network) is None
        monkeypatch.undo()
        hook = network[0].register_forward_hook(lambda *_: None)
        assert graphs.for_run(network) is None
        hook.remove()
        assert graphs.for_run(network) is graphs

    def test_none_off_a_gpu(self, network):
        assert Graphs().for_run(network) is None
