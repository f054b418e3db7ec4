"""A causal transformer: what is kept of a prefix, what is not seen."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from textdiff.models.causal import CausalBlocks, Seen
from textdiff.models.prior_config import TransformerConfig

BLOCKS = CausalBlocks(TransformerConfig(width=8, heads=2, layers=2)).eval()
X = torch.randn(3, 6, 8, generator=torch.Generator().manual_seed(0))
REAL = torch.ones(3, 6, dtype=torch.bool)


@given(st.integers(1, 5))
def test_tokens_behind_a_prefix_are_as_in_one_pass(length):
    whole, _ = BLOCKS(X, REAL)
    first, seen = BLOCKS(X[:, :length], REAL[:, :length])
    last, _ = BLOCKS(X[:, length:], REAL[:, length:], seen)
    torch.testing.assert_close(torch.cat([first, last], dim=1), whole)


@given(st.integers(0, 4))
def test_no_token_sees_a_later_one(place):
    changed = X.clone()
    changed[:, place + 1 :] += 1
    assert torch.equal(BLOCKS(changed, REAL)[0][:, : place + 1], BLOCKS(X, REAL)[0][:, : place + 1])


def test_padding_is_not_seen():
    mask, changed = REAL.clone(), X.clone()
    mask[:, 2:4] = False
    changed[:, 2:4] += 1
    assert torch.equal(BLOCKS(changed, mask)[0][:, 4:], BLOCKS(X, mask)[0][:, 4:])


def test_rows_of_what_was_seen():
    _, seen = BLOCKS(X[:, :3], REAL[:, :3])
    picked = Seen.cat([seen[[2, 0]], seen[:1]])
    assert (len(seen), len(picked)) == (3, 3)
    x = X[[2, 0, 0], 3:]
    expected, _ = BLOCKS(X[:, 3:], REAL[:, 3:], seen)
    found, _ = BLOCKS(x, REAL[:, 3:], picked)
    torch.testing.assert_close(found, expected[[2, 0, 0]])
