"""Bytes of live tensors, against what code is known to hold."""

from __future__ import annotations

import torch
from torch import nn

from textdiff.training.plan.live import LiveBytes, held_bytes

MEGABYTE = 2**20


def floats(count: int) -> torch.Tensor:
    return torch.zeros(count * MEGABYTE // 4)


def test_the_peak_is_of_what_lives_at_once():
    with LiveBytes() as live:
        start = live.now
        kept = floats(3)
        gone = floats(5)
        del gone
        other = floats(1)
        assert live.now - start == 4 * MEGABYTE
    assert live.peak - start == 8 * MEGABYTE
    assert len(kept) > len(other)


def test_views_and_changes_in_place_take_nothing():
    with LiveBytes() as live:
        tensor = floats(2)
        before = live.peak
        tensor.view(2, -1)[0].add_(1)
    assert live.peak == before


def test_what_was_there_before_counts_and_is_let_go():
    tensor = floats(4)
    with LiveBytes() as live:
        start = live.now
        del tensor
        assert start - live.now == 4 * MEGABYTE


def test_activations_of_a_training_step_are_seen_in_the_backward_pass_too():
    """Of n layers of the same width, n inputs are saved; their gradients come one by one."""
    width, rows, layers = 64, 4096, 6
    network = nn.Sequential(*(nn.Linear(width, width) for _ in range(layers)))
    x = torch.randn(rows, width)
    network(x).sum().backward()  # gradients of weights exist
    with LiveBytes() as live:
        start = live.now
        network(x).sum().backward()
    activation = 4 * rows * width
    assert layers <= (live.peak - start) / activation <= layers + 3


def test_a_storage_counts_once():
    tensor = floats(1)
    assert held_bytes([tensor, tensor.view(2, -1), tensor[:1], floats(2)]) == 3 * MEGABYTE
