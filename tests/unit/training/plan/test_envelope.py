"""Live bytes at any batch: of each operation a line, and the most of them."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from textdiff.training.plan.envelope import Envelope
from textdiff.training.plan.live import LiveBytes

size = st.integers(0, 10**6)


@given(st.lists(st.tuples(size, size), min_size=1, max_size=30), st.integers(1, 1000))
def test_it_is_the_most_of_all_lines(lines, batch):
    readings = [[start + slope * b for start, slope in lines] for b in (2, 5)]
    found = Envelope.through(*readings, (2, 5))
    assert found.at(batch) == max(start + slope * batch for start, slope in lines)
    assert len(found.lines) <= len(set(lines))


def test_other_operations_leave_the_peaks_alone():
    found = Envelope.through([10, 30, 20], [10, 50, 20, 5], (2, 4))
    assert (found.at(2), found.at(4), found.at(10)) == (30, 50, 110)


def test_what_grows_is_that_of_the_line_on_top():
    found = Envelope.through([100, 12], [100, 14], (2, 4))  # 100, and 10 + b
    assert (found.growing(50), found.growing(200)) == (0, 200)


@pytest.mark.slow
def test_a_large_batch_is_told_from_two_small_ones_where_weights_decide_these():
    """A step of 8 layers whose gradients are larger than the activations of 2 and 4 rows."""
    torch.manual_seed(0)
    network = nn.Sequential(*(nn.Linear(256, 256) for _ in range(8)))

    def live(rows: int) -> list[int]:
        x = torch.randn(rows, 256)
        network.zero_grad()
        with LiveBytes() as seen:
            network(x).relu().sum().backward()
        network.zero_grad()
        return seen.after

    live(2)  # so that nothing is made at the first time only
    found = Envelope.through(live(2), live(4), (2, 4))
    large = max(live(4096))
    assert abs(found.at(4096) / large - 1) < 0.02
    small = [max(live(rows)) for rows in (2, 4)]
    by_peaks = small[1] + (4096 - 4) * (small[1] - small[0]) / 2
    assert by_peaks < 0.9 * large
