"""Which pictures are asked about, and under which noise."""

from __future__ import annotations

import pytest
import torch

from textdiff.data import DataConfig, open_data
from textdiff.training.learning.probe import FixedNoise, first_of, spread_over


@pytest.fixture
def data(shapes):
    return open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "train")


def test_the_first_pictures_come_with_their_own_captions(data):
    probe = first_of(data, 3)
    assert probe.captions == [texts[0] for texts in data.captions[:3]]
    assert torch.equal(probe.images, data.images(range(3)))
    assert len(first_of(data, 1000)) == len(data)


def test_pictures_from_all_over_are_the_same_at_every_call(data):
    probe, again = spread_over(data, 4, seed=0), spread_over(data, 4, seed=0)
    assert len(probe) == 4
    assert probe.captions == again.captions != spread_over(data, 4, seed=1).captions
    whole = {texts[0]: index for index, texts in enumerate(data.captions)}
    assert torch.equal(probe.images, data.images([whole[text] for text in probe.captions]))


def test_no_two_of_them_share_a_caption(data):
    data.captions = [["one"], ["two"]] * (len(data) // 2)
    assert sorted(spread_over(data, 8, seed=0).captions) == ["one", "two"]


def test_noise_is_the_same_at_every_call_and_differs_by_quarter():
    noise = FixedNoise(0, (1, 2, 2), 100)
    first = noise.in_quarter(3, 20)
    assert torch.equal(first.eps, noise.in_quarter(3, 20).eps)
    assert not torch.equal(first.eps, noise.in_quarter(2, 20).eps)
    assert first.timestep.min() >= 75
    assert torch.equal(noise.in_quarter(3, 5).eps, first.eps[:5])
