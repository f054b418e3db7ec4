"""The colour terms: every shade of one is told from every shade of another."""

import colorsys
import itertools

import numpy as np

from textdiff.data.scenes.colours import COLOURS, luminance


def shades(name):
    """Over the band of a term."""
    colour = COLOURS[name]
    band = np.linspace(colour.darkest, colour.lightest, 9)
    return np.array([colour.rgb(float(lightness)) for lightness in band])


def test_the_eleven_basic_terms():
    assert len(COLOURS) == 11
    for colour in COLOURS.values():
        assert 0 <= colour.darkest < colour.lightness < colour.lightest <= 1


def test_bands_keep_apart():
    """At least 20 grey levels between any two shades of different terms."""
    for one, other in itertools.combinations(COLOURS, 2):
        distances = np.linalg.norm(shades(one)[:, None] - shades(other)[None], axis=-1)
        assert distances.min() > 20, (one, other, distances.min())


def test_plain_colours_are_far_apart():
    plain = {name: np.array(colour.rgb()) for name, colour in COLOURS.items()}
    for one, other in itertools.combinations(COLOURS, 2):
        assert np.linalg.norm(plain[one] - plain[other]) > 55, (one, other)


def test_hue_and_saturation_are_those_of_the_term():
    red, green, blue = (value / 255 for value in COLOURS["blue"].rgb(0.4))
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    np.testing.assert_allclose([hue * 360, lightness, saturation], [218, 0.4, 0.78], atol=0.6)


def test_lighter_shades_are_more_luminous():
    for colour in COLOURS.values():
        levels = [luminance(colour.rgb(value)) for value in np.linspace(0, 1, 11)]
        assert levels == sorted(levels)
