"""Conditioning: parts of it, and parts joined."""

from __future__ import annotations

import pytest
import torch

from textdiff.types import Conditioning


def conditioning(rows: int, length: int = 3, full: bool = True) -> Conditioning:
    tokens = torch.randn(rows, length, 4)
    if not full:
        return Conditioning(tokens)
    return Conditioning(tokens, torch.randn(rows, 5), torch.ones(rows, length, dtype=torch.bool))


@pytest.mark.parametrize("full", [True, False])
def test_what_is_taken_apart_and_joined_is_the_same(full):
    whole = conditioning(4, full=full)
    joined = Conditioning.cat([whole[:1], whole[[1, 2]], whole[torch.tensor([3])]])
    torch.testing.assert_close(vars(joined), vars(whole), rtol=0, atol=0)


@pytest.mark.parametrize("other", [conditioning(1, full=False), conditioning(1, length=2)])
def test_parts_that_do_not_fit_are_refused(other):
    with pytest.raises(ValueError, match=r"pooled features, a mask|different lengths"):
        Conditioning.cat([conditioning(2), other])
