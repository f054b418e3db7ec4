"""The endless order is a function of (seed, position) and visits everything once per epoch."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from textdiff.data import EndlessOrder


@given(st.integers(1, 50), st.integers(0, 2**40), st.integers(0, 1000))
def test_every_epoch_is_a_permutation(num_samples, seed, epoch):
    positions = torch.arange(epoch * num_samples, (epoch + 1) * num_samples)
    epochs, ids = EndlessOrder(num_samples, seed).at(positions)
    assert (epochs == epoch).all()
    assert ids.sort().values.tolist() == list(range(num_samples))


@given(
    st.integers(1, 30),
    st.integers(0, 9),
    st.lists(st.integers(0, 10_000), min_size=1, max_size=40),
)
def test_a_position_means_the_same_whatever_is_asked_with_it(num_samples, seed, positions):
    together = EndlessOrder(num_samples, seed).at(torch.tensor(positions))
    fresh = [EndlessOrder(num_samples, seed).at(torch.tensor([p])) for p in positions]
    assert together[0].tolist() == [int(epoch) for epoch, _ in fresh]
    assert together[1].tolist() == [int(sample) for _, sample in fresh]


@given(st.integers(1, 50), st.integers(2, 5), st.integers(0, 9))
def test_groups_stay_together_and_are_shuffled(num_samples, size, seed):
    ids = EndlessOrder(num_samples, seed, size).at(torch.arange(num_samples))[1].tolist()
    assert sorted(ids) == list(range(num_samples))
    whole = [ids.index(first) for first in range(0, num_samples - size + 1, size)]
    for first, start in zip(range(0, num_samples, size), whole, strict=False):
        assert ids[start : start + size] == list(range(first, first + size))


def test_groups_come_in_another_order_each_epoch():
    epochs = EndlessOrder(100, 0, 2).at(torch.arange(200))[1].view(2, 50, 2)
    assert not torch.equal(*epochs)


def test_epochs_and_seeds_differ():
    positions = torch.arange(100)
    order = EndlessOrder(100, seed=0)
    assert not torch.equal(order.at(positions)[1], order.at(positions + 100)[1])
    assert not torch.equal(order.at(positions)[1], EndlessOrder(100, seed=1).at(positions)[1])


def test_an_order_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        EndlessOrder(0, seed=0)
