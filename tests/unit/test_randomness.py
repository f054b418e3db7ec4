"""Streams: fixed for ever, distinct for distinct parts, and distributed as they say."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from textdiff.randomness import (
    Stream,
    key_of,
    normal,
    normals,
    seed_of,
    uniform,
    weights_drawn_by,
    words_for,
)
from textdiff.sampling import ImageNoise

# of Stream("sampling", 0, 1), one after the other
WORDS = [3391154299594036104, 16094115619537185118]
UNIFORMS = [0.366391349876802, 0.7318625679330149]
NORMALS = [-0.17523591220378876, -2.7846388816833496, 0.4819055497646332]
INTEGERS = [9, 0, 5, 0, 0, 7]
PERMUTATION = [4, 0, 2, 1, 3]

several = st.lists(st.integers(0, 2**40) | st.text("abc", max_size=3), min_size=1, max_size=4)


def test_known_values():
    """A change of the hash, the generator or the transforms would change every run."""
    assert seed_of("sampling", 0, 1) == 6_319_518_789_004_453_007
    assert key_of("sampling", 0, 1) == 272_436_450_706_525_137_517_504_903_008_886_511_740
    stream = Stream("sampling", 0, 1)
    assert stream.words(2).tolist() == WORDS
    assert stream.uniform(2).tolist() == pytest.approx(UNIFORMS, abs=1e-15)
    assert stream.normal(3).tolist() == pytest.approx(NORMALS, abs=1e-6)
    assert stream.integers(10, 6).tolist() == INTEGERS
    assert stream.permutation(5).tolist() == PERMUTATION


def test_words_are_those_of_numpys_philox():
    """So that others can draw what we draw without textdiff."""
    digest = hashlib.blake2b("\x1f".join(["sampling", "0", "7"]).encode(), digest_size=16).digest()
    theirs = np.random.Philox(key=int.from_bytes(digest, "little"))
    assert np.array_equal(Stream("sampling", 0, 7).words(100), theirs.random_raw(100))


@given(several)
def test_seed_is_what_torch_takes(values):
    assert 0 <= seed_of(*values) < 2**63


@given(several, several)
def test_distinct_parts_give_distinct_seeds_and_keys(one, other):
    same = [str(part) for part in one] == [str(part) for part in other]
    assert (seed_of(*one) == seed_of(*other)) == same
    assert (key_of(*one) == key_of(*other)) == same


def test_parts_do_not_run_together():
    assert len({key_of(1, 23), key_of(12, 3), key_of(123), key_of(3, 12)}) == 4


@pytest.mark.parametrize(("number", "bits"), [(seed_of, 63), (key_of, 128)])
def test_close_parts_give_unrelated_numbers(number, bits):
    """Half of the bits differ on average between neighbours."""
    flipped = [(number(0, k) ^ number(0, k + 1)).bit_count() for k in range(1000)]
    assert sum(flipped) / len(flipped) == pytest.approx(bits / 2, abs=4 * math.sqrt(bits) / 60)


def test_pictures_that_once_shared_their_noise_do_not():
    """Their 63-bit seeds agree in the lower 32, all that torch reads of a seed on the CPU."""
    one, other = (("sampling", 0, k) for k in (141139, 142404))
    assert seed_of(*one) % 2**32 == seed_of(*other) % 2**32
    noise = ImageNoise([(0, 141139), (0, 142404)], (3, 8, 8))()
    correlation = torch.corrcoef(noise.flatten(1))[0, 1].item()
    assert abs(correlation) < 4 / math.sqrt(192)


@pytest.mark.slow
def test_no_two_of_many_streams_begin_alike():
    """200,000 keys; with 32 bits about 5 pairs would, with the first 64 about 10^-9."""
    firsts = {Stream("diffusion", 0, step, 0, k).words(1).item() for step in range(2000)
              for k in range(100)}  # fmt: skip
    assert len(firsts) == 200_000


def test_no_two_of_many_keys_agree_even_in_half_of_their_bits():
    keys = [key_of("diffusion", 0, step, 0, k) for step in range(5000) for k in range(100)]
    assert len({key % 2**64 for key in keys}) == len({key >> 64 for key in keys}) == len(keys)


def test_streams_of_the_same_parts_draw_the_same():
    assert torch.equal(Stream("noise", 3, 7).normal(8), Stream("noise", 3, 7).normal(8))


def test_streams_of_different_parts_draw_differently():
    parts = [("noise", 3), ("noise", 4), ("timestep", 3)]
    assert len({tuple(Stream(*p).normal(8).tolist()) for p in parts}) == 3


def test_a_stream_goes_on():
    stream, whole = Stream("noise", 0), Stream("noise", 0).uniform(6)
    assert torch.equal(torch.cat([stream.uniform(2), stream.uniform(4)]), whole)


def test_streams_are_apart_from_the_global_generator():
    before = torch.get_rng_state()
    Stream("noise", 0).normal(8)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (3, 5, 7), (1, 4, 4), (3, 32, 32)])
def test_normals_of_many_streams_are_those_of_each(shape):
    """Whatever the shape leaves over of a word, and wherever a row lies in memory."""
    together = normals([Stream("noise", k) for k in range(5)], shape)
    alone = [Stream("noise", k).normal(*shape) for k in range(5)]
    assert together.shape == (5, *shape)
    assert torch.equal(together, torch.stack(alone))


def test_normals_have_the_moments_and_the_tails_of_the_normal_distribution():
    n = 4_000_000
    x = Stream("moments").normal(n).double()
    for power, moment, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96), (6, 15, 10170)):
        assert abs((x**power).mean() - moment) < 4 * math.sqrt(variance / n)
    for bound in (1, 2, 3, 4, 4.5):
        p = math.erfc(bound / math.sqrt(2))
        assert abs((x.abs() > bound).double().mean() - p) < 4 * math.sqrt(p / n)
    middle = n // 2
    assert abs((x[:middle] * x[middle:]).mean()) < 4 / math.sqrt(middle)
    assert abs((x[1:] * x[:-1]).mean()) < 4 / math.sqrt(n)


def test_normals_are_finite_at_the_ends_of_the_words():
    ends = np.array([[0, 2**64 - 1, 0, 2**64 - 1], [2**64 - 1, 0, 2**63, 2**31]], np.uint64)
    drawn = normal(ends, 8)
    assert drawn.isfinite().all()
    assert drawn.abs().max() < 6.8
    assert words_for(8) == 4


def test_uniforms_lie_in_their_half_open_interval():
    assert uniform(np.array([0, 2**64 - 1], np.uint64)).tolist() == [0.0, 1 - 2.0**-53]


def test_integers_are_even():
    counts = Stream("integers").integers(7, 70_000).bincount(minlength=7).double()
    assert len(counts) == 7
    assert ((counts - 10_000) ** 2 / 10_000).sum() < 22.5  # chi squared, 6 degrees, p = 0.001


def test_permutations_are_even():
    seen: dict[tuple[int, ...], int] = {}
    for k in range(6000):
        order = tuple(Stream("permutation", k).permutation(3).tolist())
        seen[order] = seen.get(order, 0) + 1
    assert sorted(seen) == [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    assert sum((count - 1000) ** 2 / 1000 for count in seen.values()) < 20.5  # 5 degrees


def test_a_name_that_is_not_utf8_is_a_key_too():
    assert key_of("caf\udce9.png") != key_of("café.png")


def test_weights_are_a_function_of_the_seed_and_other_draws_go_on():
    def weights(seed: int) -> torch.Tensor:
        with weights_drawn_by(seed):
            return torch.nn.Linear(3, 2).weight

    torch.manual_seed(0)
    expected = torch.rand(2)
    torch.manual_seed(0)
    first = torch.rand(1)
    assert torch.equal(weights(5), weights(5))
    assert not torch.equal(weights(5), weights(6))
    assert torch.equal(torch.cat([first, torch.rand(1)]), expected)
