"""What is gathered between two rows outlives a process, to the bit."""

from __future__ import annotations

import json
import math

import pytest

from textdiff.errors import CheckpointError
from textdiff.training.window import Window, share_of


def window_of(*values: float) -> Window:
    window = Window()
    for value in values:
        window.add({"loss": value})
    return window


def test_means_are_of_the_steps_that_had_each():
    window = window_of(1.0, 2.0)
    window.add({"loss": 6.0, "seldom": 5.0})
    window.add({})  # a step that was left out
    assert window.means() == {"loss": 3.0, "seldom": 5.0}
    assert window.steps == 3


def test_it_comes_back_as_it_was_written():
    window = window_of(0.1, 0.2, math.pi)
    window.seconds, window.waited = 1.5, 0.5
    fresh = Window()
    fresh.fill(json.loads(json.dumps(window.to_json())))
    assert fresh == window


def test_each_process_goes_on_with_its_own():
    windows = [window_of(value).to_json() for value in (1.0, 3.0)]
    assert share_of(windows, rank=1, processes=2) == windows[1]


@pytest.mark.parametrize("processes", [1, 3])
def test_more_or_fewer_processes_go_on_with_the_means(processes):
    windows = [window_of(value).to_json() for value in (1.0, 3.0)]
    for rank in range(processes):
        assert share_of(windows, rank, processes)["sums"] == {"loss": 2.0}


def test_an_older_checkpoint_says_nothing():
    fresh = Window()
    fresh.fill(share_of([], rank=0, processes=1))
    assert fresh == Window()


@pytest.mark.parametrize(
    "saved",
    [{"sums": 3}, {"sums": {"loss": "x"}}, {"sums": {"loss": 1.0}}, {"steps": "many"}, []],
    ids=["no sums", "no number", "no counts", "no steps", "no mapping"],
)
def test_other_types_are_damage(saved):
    with pytest.raises(CheckpointError, match="window"):
        Window().fill(saved)


def test_other_types_of_several_are_damage():
    with pytest.raises(CheckpointError, match="windows"):
        share_of([{"sums": {"loss": 1.0}}, {}], rank=0, processes=1)
