"""Augmentation: what moves, what keeps its colours, and that a picture's draw is its own."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from tests.helpers.batches import batch_of, noise
from textdiff.training.augment import (
    _coloured,
    _sample_bordered,
    augment_captions,
    augment_pictures,
    names_a_colour,
)
from textdiff.training.augment_config import AugmentConfig

ALL = AugmentConfig(zoom=0.3, rotate=20, flip=True, colour=0.5, cutout=0.4, drop_words=0.5)


def changed(config: AugmentConfig, batch, step: int = 0):
    return augment_pictures(batch.image, batch, config, 0, step)


def plain_batch(image: torch.Tensor):
    """Captions without a colour."""
    return dataclasses.replace(batch_of(image), captions=["a circle on the left"] * len(image))


def square(side: int = 16) -> torch.Tensor:
    """A dark square in the middle of a light picture, (64, 3, side, side)."""
    image = torch.full((64, 3, side, side), 250, dtype=torch.uint8)
    image[:, :, side // 4 : -side // 4, side // 4 : -side // 4] = 10
    return image


def test_nothing_is_changed_by_default():
    batch = batch_of(noise(4))
    assert changed(AugmentConfig(), batch) is batch.image
    assert augment_captions(batch, AugmentConfig(), 0, 0) is batch.captions


def test_a_sample_is_changed_alike_in_every_batch_and_anew_at_every_step():
    batch = plain_batch(noise(8))
    one = dataclasses.replace(
        plain_batch(noise(8)[5:6]), sample_ids=batch.sample_ids[5:6], epochs=batch.epochs[5:6]
    )
    assert torch.equal(changed(ALL, batch)[5:6], changed(ALL, one))
    assert augment_captions(batch, ALL, 0, 3)[5:6] == augment_captions(one, ALL, 0, 3)
    assert not torch.equal(changed(ALL, batch), changed(ALL, batch, step=1))


def test_half_precision_around_it_changes_no_bit():
    batch = plain_batch(noise(8))
    plain = changed(ALL, batch)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(changed(ALL, batch), plain)


def test_borders_are_repeated_as_torch_repeats_them():
    image, grid = noise(4).double(), 3 * torch.rand(4, 16, 16, 2, dtype=torch.float64) - 1.5
    expected = F.grid_sample(image, grid, padding_mode="border", align_corners=False)
    torch.testing.assert_close(_sample_bordered(image, grid), expected)


def test_zoom_scales_both_ways_within_its_limit():
    dark = (changed(AugmentConfig(zoom=0.5), plain_batch(square(48)))[:, 0] < 130).sum((1, 2))
    scales = (dark / 24**2).sqrt()
    assert scales.min() > 1 / 1.5 - 0.05 and scales.max() < 1.5 + 0.05
    assert scales.min() < 0.8 and scales.max() > 1.25


def test_a_turn_keeps_size_and_middle():
    turned = changed(AugmentConfig(rotate=45), plain_batch(square(48)))
    assert (turned[:, :, 20:28, 20:28] == 10).all()
    dark = (turned[:, 0] < 130).sum((1, 2)) / 24**2
    assert dark.min() > 0.95 and dark.max() < 1.05
    assert not torch.equal(turned, square(48))


def test_flip_mirrors_half_of_the_pictures_to_the_pixel():
    image = noise(64)
    shown = changed(AugmentConfig(flip=True), plain_batch(image))
    mirrored = [torch.equal(a, b.flip(-1)) for a, b in zip(shown, image, strict=True)]
    kept = [torch.equal(a, b) for a, b in zip(shown, image, strict=True)]
    assert sum(mirrored) + sum(kept) == 64
    assert 16 < sum(mirrored) < 48


def test_colours_change_only_where_the_caption_names_none():
    image = noise(4)
    captions = ["red circle", "a circle", "flag of Chad", "circle, dark"]
    batch = dataclasses.replace(batch_of(image), captions=captions)
    shown = changed(AugmentConfig(colour=0.5), batch)
    same = [torch.equal(a, b) for a, b in zip(shown, image, strict=True)]
    assert same == [True, False, True, True]


@pytest.mark.parametrize(
    ("caption", "named"),
    [
        ("Red Apple", True),
        ("heart, red", True),
        ("sacred bird", False),
        ("blue-ish fish", True),
        ("the ball is blue.", True),
        ("a (red) car", True),
        ("woman: blond hair", True),
        ("a navy coat", True),
        ("tank", False),
    ],
)
def test_colour_words_are_whole_words(caption, named):
    assert names_a_colour(caption) is named


def test_a_hue_turns_colours_and_leaves_grey():
    grey, red = torch.full((16, 3, 4, 4), 128, dtype=torch.uint8), torch.zeros(16, 3, 4, 4)
    red[:, 0] = 200
    only_hue = torch.zeros(16, 4)
    only_hue[:, 3] = torch.linspace(-1, 1, 16)
    assert torch.allclose(_coloured(grey / 255, only_hue, 1.0), grey / 255, atol=1e-5)
    turned = _coloured(red / 255, only_hue, 1.0)
    assert (turned[0, 2] > 0.1).all() and (turned[-1, 1] > 0.1).all()


def test_cutout_paints_one_square_of_the_stated_size():
    image = noise(32)
    shown = changed(AugmentConfig(cutout=0.25), plain_batch(image))
    for picture, original in zip(shown, image, strict=True):
        rows, columns = torch.nonzero((picture != original).any(0)).unbind(1)
        assert 3 <= rows.max() - rows.min() + 1 <= 4 and 3 <= columns.max() - columns.min() + 1 <= 4
        assert (picture - original != 0).any(0).sum() <= 16


def test_words_are_left_out_at_the_stated_rate_and_in_order():
    batch = plain_batch(noise(1).repeat(400, 1, 1, 1))
    found = augment_captions(batch, AugmentConfig(drop_words=0.3), 0, 0)
    left = [caption.split() for caption in found]
    assert sum(map(len, left)) / (5 * 400) == pytest.approx(0.7, abs=0.03)
    places = [["a", "circle", "on", "the", "left"].index(word) for word in left[0]]
    assert places == sorted(places)


def test_a_caption_keeps_at_least_one_word():
    batch = dataclasses.replace(batch_of(noise(16)), captions=["apple"] * 8 + ["red apple"] * 8)
    found = augment_captions(batch, AugmentConfig(drop_words=0.99), 0, 0)
    assert found[:8] == ["apple"] * 8
    assert set(found[8:]) <= {"red", "apple", "red apple"}
