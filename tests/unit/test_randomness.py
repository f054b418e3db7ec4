"""seed_of and generator: fixed for ever, distinct for distinct parts."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from textdiff.randomness import generator, seed_of

several = st.lists(st.integers(0, 2**40) | st.text("abc", max_size=3), min_size=1, max_size=4)


def test_known_value():
    """A change of the hash would change every run: noise, order, samples."""
    assert seed_of("sampling", 0, 1) == 6_319_518_789_004_453_007


@given(several)
def test_seed_is_what_torch_takes(values):
    assert 0 <= seed_of(*values) < 2**63


@given(several, several)
def test_distinct_parts_give_distinct_seeds(one, other):
    same = [str(part) for part in one] == [str(part) for part in other]
    assert (seed_of(*one) == seed_of(*other)) == same


def test_parts_do_not_run_together():
    assert len({seed_of(1, 23), seed_of(12, 3), seed_of(123), seed_of(3, 12)}) == 4


def test_close_parts_give_unrelated_seeds():
    """Half of 63 bits differ on average between neighbours."""
    flipped = [(seed_of(0, k) ^ seed_of(0, k + 1)).bit_count() for k in range(1000)]
    assert 30.5 < sum(flipped) / len(flipped) < 32.5


def test_generators_of_the_same_parts_draw_the_same():
    one, other = generator("noise", 3, 7), generator("noise", 3, 7)
    assert torch.equal(torch.randn(8, generator=one), torch.randn(8, generator=other))


def test_generators_of_different_parts_draw_differently():
    parts = [("noise", 3), ("noise", 4), ("timestep", 3)]
    draws = [torch.randn(8, generator=generator(*p)) for p in parts]
    assert len({tuple(draw.tolist()) for draw in draws}) == 3


def test_generator_is_apart_from_the_global_one():
    before = torch.get_rng_state()
    torch.randn(8, generator=generator("noise", 0))
    assert torch.equal(torch.get_rng_state(), before)
