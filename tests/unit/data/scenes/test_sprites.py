"""Sprites: all colours from one rasterisation, boxes in whole pixels."""

import numpy as np
import pytest

from textdiff.data.scenes.colours import COLOURS
from textdiff.data.scenes.facts import Thing
from textdiff.data.scenes.objects import KINDS, drawing_of
from textdiff.data.scenes.recolour import measure, paints, rasterise
from textdiff.data.scenes.sprites import Sprites, in_all_colours, svg_of


@pytest.mark.parametrize("kind", [*list(KINDS)[:24:6], "rocket", "artist palette"])
def test_sprites_are_the_recoloured_drawings(kind):
    """Within resvg's own rounding, whatever the number of fills."""
    sprites = in_all_colours(measure(drawing_of(kind)), 20)
    for colour, sprite in zip(COLOURS, sprites, strict=True):
        large = rasterise(svg_of(kind, colour), 80).reshape(4, 20, 4, 20, 4)
        expected = large.mean((2, 4)) * np.array([255, 255, 255, 1])[:, None, None]
        assert np.abs(sprite[:3] - expected[:3]).mean() < 0.3
        np.testing.assert_allclose(sprite[3], expected[3], atol=1e-6)


def test_some_of_them_have_more_fills_than_primaries():
    assert len(paints(measure(drawing_of("artist palette")))) > 3


@pytest.mark.parametrize(
    ("thing", "expected"),
    [
        (Thing("star", "red", 0.5, 0.5, 0.5), (8, 8, 16)),
        (Thing("star", "red", 0.3, 0.0, 1.0), (0, 22, 10)),  # never beyond an edge
        (Thing("star", "red", 1.0, 0.5, 0.5), (0, 0, 32)),
    ],
)
def test_boxes_are_whole_pixels_inside_the_picture(thing, expected):
    box = Sprites(32).box(thing)
    assert (box.left, box.top, box.side) == expected
