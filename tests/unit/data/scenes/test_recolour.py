"""Recolouring: hue of the term, order of the shades kept, outlines untouched."""

import colorsys
import re

import numpy as np
import pytest

from textdiff.data.scenes.colours import COLOURS
from textdiff.data.scenes.objects import drawing_of
from textdiff.data.scenes.recolour import measure, rasterise, recoloured, shades

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 72 72">'
    '<g id="color"><rect x="10" y="20" width="40" height="30" fill="#ccc"/>'
    '<rect x="10" y="20" width="20" height="30" fill="#646464"/></g>'
    '<g id="line"><path d="M10 20H50" stroke="#000" stroke-width="2" fill="none"/></g></svg>'
)


def test_a_drawing_is_measured():
    drawing = measure(SVG)
    assert drawing.box == (10, 14.5, 40)  # the line reaches one unit above the fills
    assert drawing.mean == pytest.approx((204 + 100) / 2 / 255, abs=1e-3)


def test_fills_take_the_colour_and_lines_stay():
    svg = recoloured(measure(SVG), COLOURS["red"])
    assert 'stroke="#000"' in svg and "#ccc" not in svg and "#646464" not in svg
    assert 'viewBox="10 14.5 40 40"' in svg
    light, dark = (tuple(bytes.fromhex(text)) for text in re.findall('fill="#(.{6})"', svg)[-2:])
    for rgb in (light, dark):
        hue, _, saturation = colorsys.rgb_to_hls(*(value / 255 for value in rgb))
        assert min(hue, 1 - hue) * 360 == pytest.approx(2, abs=1)
        assert saturation == pytest.approx(0.8, abs=0.02)
    assert sum(light) > sum(dark)


@pytest.mark.parametrize("colour", COLOURS.values(), ids=COLOURS)
def test_shades_keep_their_order_inside_the_band(colour):
    fills = [0.1, 0.3, 0.55, 0.9]
    shade = shades(fills, 0.5, colour)
    lightness = [shade(value) for value in fills]
    assert lightness == sorted(lightness) and len(set(lightness)) == 4
    assert colour.darkest - 1e-9 <= lightness[0] and lightness[-1] <= colour.lightest + 1e-9
    assert shade(0.5) == colour.lightness


def test_near_shades_are_not_spread():
    shade = shades([0.50, 0.52], 0.51, COLOURS["blue"])
    assert shade(0.52) - shade(0.50) == pytest.approx(0.02)


def test_one_fill_becomes_the_plain_colour():
    shade = shades([0.7], 0.7, COLOURS["pink"])
    assert shade(0.7) == COLOURS["pink"].lightness


def test_a_drawing_without_fills_is_refused():
    with pytest.raises(ValueError, match="without fills"):
        measure(SVG.replace('id="color"', 'id="line"'))


@pytest.mark.parametrize(("colour", "rgb"), [("green", (46, 158, 55)), ("white", (250,) * 3)])
def test_the_middle_of_a_heart(colour, rgb):
    picture = rasterise(recoloured(measure(drawing_of("heart")), COLOURS[colour]), 32)
    assert picture.dtype == np.float32 and picture[3, 14, 16] == 1
    np.testing.assert_allclose(255 * picture[:3, 14, 16], rgb, atol=2)
