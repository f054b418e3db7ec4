"""Compositing against resvg on whole scenes, written as one SVG each."""

import io
import re

import numpy as np
import pytest
import resvg_py
from PIL import Image

from textdiff.data.scenes.draw import COUNTS, Drawer
from textdiff.data.scenes.facts import Scene, Thing
from textdiff.data.scenes.objects import KINDS
from textdiff.data.scenes.render import background_rgb, render
from textdiff.data.scenes.splits import hold_out
from textdiff.data.scenes.sprites import Sprites, svg_of
from textdiff.errors import DataError, UsageError


def by_resvg(scene, size):
    """(3, size, size): the whole scene as one SVG, rendered at four times the size."""
    parts = []
    for thing in scene.things:
        box = Sprites(size).box(thing)
        place = f'<svg x="{box.left}" y="{box.top}" width="{box.side}" height="{box.side}" '
        parts.append(re.sub("^<svg ", place, svg_of(thing.kind, thing.colour)))
    rgb = ",".join(map(str, background_rgb(scene.background)))
    whole = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}">'
        f'<rect width="{size}" height="{size}" fill="rgb({rgb})"/>{"".join(parts)}</svg>'
    )
    png = resvg_py.svg_to_bytes(svg_string=whole, width=4 * size, height=4 * size)
    large = Image.open(io.BytesIO(bytes(png))).convert("RGB")
    return np.asarray(large.resize((size, size), Image.Resampling.BOX)).transpose(2, 0, 1)


@pytest.mark.parametrize("level", COUNTS)
@pytest.mark.parametrize("size", [24, 45])
def test_scenes_are_those_of_resvg(level, size):
    kinds = list(KINDS)[:40:8]
    drawer = Drawer(level, 0, hold_out(kinds, 0.125, 0, level in ("relations", "scenes")))
    sprites = Sprites(size)
    for index in range(5):
        scene = drawer.scene("train", index)
        difference = render(scene, sprites).astype(float) - by_resvg(scene, size)
        assert np.abs(difference).mean() < 0.5, np.abs(difference).mean()
        assert np.abs(difference).max() <= 16


def test_things_stand_where_the_facts_say():
    scene = Scene((Thing("heart", "red", 0.5, 0.25, 0.75),), "blue")
    picture = render(scene, Sprites(32))
    blue = np.array(background_rgb("blue"))[:, None, None]
    other = (picture != blue).any(0)
    assert other[16:, :16].mean() > 0.5 and not other[:16].any() and not other[:, 16:].any()


def test_a_white_background_is_paper():
    picture = render(Scene((Thing("star", "white", 0.6, 0.5, 0.5),)), Sprites(24))
    assert (picture[:, 0, 0] == 255).all() and picture.shape == (3, 24, 24)


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (Thing("gadget", "red", 0.5, 0.5, 0.5), "no object 'gadget'"),
        (Thing("star", "teal", 0.5, 0.5, 0.5), "no colour 'teal': there are black"),
    ],
)
def test_what_cannot_be_drawn_is_named(thing, message):
    with pytest.raises(DataError, match=message):
        render(Scene((thing,)), Sprites(24))


def test_a_size_that_shows_nothing_is_refused():
    with pytest.raises(UsageError, match=r"image_size 23: .* give 24 or more"):
        Sprites(23)


def test_memory_for_sprites_is_bounded(monkeypatch):
    monkeypatch.setattr("textdiff.data.scenes.sprites.LIMIT_BYTES", 2 * 11 * 4 * 4 * 12 * 12)
    sprites = Sprites(24)
    pictures = [
        render(Scene((Thing(kind, "red", 0.5, 0.5, 0.5),)), sprites)
        for kind in ("star", "heart", "sun", "star")
    ]
    assert len(sprites) == 2 * 11
    assert (pictures[0] == pictures[3]).all()
