"""A scene as pixels: sprites laid over a background.

    c <- background;   for each thing, inside its box:   c <- rgb + (1 - a) c

Porter and Duff's "over" (1984), rgb premultiplied with the opacity a.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from textdiff.data.scenes.colours import COLOURS
from textdiff.data.scenes.facts import Scene
from textdiff.data.scenes.sprites import Sprites

PAPER = (255, 255, 255)  # a background of no colour's own: white things stand out against it


def render(scene: Scene, sprites: Sprites) -> NDArray[np.uint8]:
    """(3, S, S), S = sprites.image_size. Raises DataError for kinds and colours that are none."""
    side = sprites.image_size
    canvas = np.empty((3, side, side), np.float32)
    canvas[:] = np.array(background_rgb(scene.background), np.float32)[:, None, None]
    for thing in scene.things:
        box = sprites.box(thing)
        rgba = sprites.sprite(thing.kind, thing.colour, box.side)
        under = canvas[:, box.top : box.top + box.side, box.left : box.left + box.side]
        under *= 1 - rgba[3]
        under += rgba[:3]
    return np.rint(canvas).astype(np.uint8)


def background_rgb(colour: str) -> tuple[int, int, int]:
    return PAPER if colour == "white" else COLOURS[colour].rgb()
