"""Memory from two readings: parts add up, the largest batch fits and the next does not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.readings import reading
from textdiff.training.plan.memory import CONTEXT, MemoryModel

MB = 10**6


def model(**changes) -> MemoryModel:
    """Of a process that takes 1000 MB and 10 for each sample."""
    first = reading(2, 1020 * MB, **changes)
    return MemoryModel.of_process(first, reading(12, 1120 * MB), tables=0.0)


def test_a_process_grows_with_its_batch():
    needed = model().at(64)
    assert needed.value == pytest.approx(1640 * MB)
    assert 0.05 * needed.value < needed.error < 0.1 * needed.value


def test_a_process_holds_more_than_its_tensors():
    first, second = (reading(b, (100 + b) * MB) for b in (2, 4))
    cost = replace(second.cost, peaks=[700 * MB, 704 * MB, 703 * MB])
    found = MemoryModel.of_process(first, replace(second, cost=cost), tables=5 * MB)
    assert found.at(4).value == pytest.approx(709 * MB)
    assert found.at(104).value == pytest.approx(809 * MB)


def test_an_evaluation_is_taken_between_beside_a_step_and_in_its_room():
    """Its 300 MB more than the small step: in the room of a large batch's activations or not."""
    found = model(evaluation=1320 * MB).at(12)
    assert found.value == pytest.approx((1320 + 1420) / 2 * MB)
    assert found.low < 1320 * MB < 1420 * MB < found.high


@given(st.integers(1, 300), st.integers(0, 500))
def test_parts_add_up(batch, evaluation):
    memory = model(evaluation=(1020 + evaluation) * MB)
    assert sum(part.bytes for part in memory.parts(batch)) == pytest.approx(memory.at(batch).value)


@given(st.integers(500, 100_000))
def test_the_largest_batch_fits_and_the_next_one_does_not(megabytes):
    memory, capacity = model(), megabytes * MB
    batch = memory.largest_batch(capacity)
    assert batch == 0 or memory.at(batch).high <= capacity
    assert memory.at(batch + 1).high > capacity


def test_several_gpus_hold_copies_of_gradients_and_each_a_context():
    readings = [reading(b, (100 + b) * MB, gradients=40 * MB) for b in (2, 4)]
    one, two = (MemoryModel.of_gpu(*readings, tables=5 * MB, gpus=n).at(8) for n in (1, 2))
    assert one.value == pytest.approx((108 + 5) * MB + CONTEXT)
    assert two.value - one.value == pytest.approx(40 * MB)
