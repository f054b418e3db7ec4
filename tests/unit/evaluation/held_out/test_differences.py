"""Numbers by prompt and by resample, as files keep them."""

from __future__ import annotations

import torch

from textdiff.evaluation.held_out.differences import to_samples, to_tensor


def test_samples_without_kid_are_none():
    values = torch.tensor([1.0, float("nan"), 2.0]).double()
    assert to_samples(values) == (1.0, None, 2.0)
    assert to_tensor((1.0, None)).isnan().tolist() == [False, True]


def test_samples_have_six_digits():
    assert to_samples(torch.tensor([1 / 3]).double()) == (0.333333,)
