"""Things as pixels: each drawing rasterised once per side of its box, for all colours together.

    w_f, a    weights of the fills f and opacity: the SVG with red, green and blue for three fills
              at a time and black for the others -> resvg at 4x the side -> box filter
    sprite    of a colour: rgb = sum_f w_f rgb_f, beside a

Compositing is linear in the paints, so that this is the recoloured SVG to the rounding of resvg's 8
bits, at an eleventh of the time. Outlines are black and add nothing but opacity.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from textdiff.data.openmoji_render import OVERSAMPLING
from textdiff.data.scenes.colours import COLOURS
from textdiff.data.scenes.facts import Thing
from textdiff.data.scenes.objects import KINDS, drawing_of
from textdiff.data.scenes.recolour import (
    Drawing,
    measure,
    painted,
    paints,
    rasterise,
    recoloured,
    repaints,
)
from textdiff.errors import DataError, UsageError, require_extra

BLACK, PRIMARIES = "#000000", ("#ff0000", "#00ff00", "#0000ff")
LIMIT_BYTES = 2**29  # of sprites kept; the oldest go first
SMALLEST = 24  # pixels of a picture's side; three things have 8 pixels each then


@dataclass(frozen=True, slots=True)
class Box:
    """Of a thing, in whole pixels."""

    left: int
    top: int
    side: int


class Sprites:
    """Rasterised things for pictures of one size.

    Raises:
        UsageError: a size too small to tell things apart, or the extra 'openmoji' is missing.
    """

    def __init__(self, image_size: int) -> None:
        check_size(image_size)
        require_extra("openmoji", "the built-in data set 'scenes'")
        self.image_size = image_size
        self._sprites: dict[tuple[str, int], dict[str, NDArray[np.float32]]] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return sum(len(colours) for colours in self._sprites.values())

    def box(self, thing: Thing) -> Box:
        """Rounded to pixels, wholly inside the picture."""
        side = max(1, _nearest(thing.size * self.image_size))
        left, top = (
            min(max(_nearest(centre * self.image_size - side / 2), 0), self.image_size - side)
            for centre in (thing.x, thing.y)
        )
        return Box(left, top, side)

    def sprite(self, kind: str, colour: str, side: int) -> NDArray[np.float32]:
        """(4, side, side): premultiplied RGBA, colours of 0..255 and opacity of 0..1.

        Raises:
            DataError: no such kind or colour.
        """
        _check(kind, colour)
        if (kind, side) not in self._sprites:
            sprites = in_all_colours(_drawing(kind), side)
            self._sprites[kind, side] = dict(zip(COLOURS, sprites, strict=True))
            self._bytes += sprites.nbytes
            while self._bytes > LIMIT_BYTES and len(self._sprites) > 1:
                oldest = self._sprites.pop(next(iter(self._sprites)))
                self._bytes -= sum(sprite.nbytes for sprite in oldest.values())
        return self._sprites[kind, side][colour]


def check_size(image_size: int) -> None:
    if image_size < SMALLEST:
        raise UsageError(
            f"data.image_size {image_size}: the things of scenes cannot be told apart below "
            f"{SMALLEST} pixels; give {SMALLEST} or more"
        )


def svg_of(kind: str, colour: str) -> str:
    """The drawing of a kind in a colour; its view box is its box. Raises DataError."""
    _check(kind, colour)
    return recoloured(_drawing(kind), COLOURS[colour])


def in_all_colours(drawing: Drawing, side: int) -> NDArray[np.float32]:
    """(colours, 4, side, side), in the order of COLOURS."""
    own = paints(drawing)
    weights: list[NDArray[np.float32]] = []
    for first in range(0, len(own), 3):
        separated = dict.fromkeys(own, BLACK) | dict(
            zip(own[first : first + 3], PRIMARIES, strict=False)
        )
        large = rasterise(painted(drawing, separated), side * OVERSAMPLING)
        small = large.reshape(4, side, OVERSAMPLING, side, OVERSAMPLING).mean((2, 4))
        weights += [*small[:3]]
        opacity = small[3]
    new = [repaints(drawing, colour) for colour in COLOURS.values()]
    rgb = np.array([[table[paint] for paint in own] for table in new], np.float32)
    sprites = np.empty((len(COLOURS), 4, side, side), np.float32)
    sprites[:, :3] = np.einsum("cfk,fyx->ckyx", rgb, np.stack(weights[: len(own)]))
    sprites[:, 3] = opacity
    return sprites


def _check(kind: str, colour: str) -> None:
    if kind not in KINDS:
        raise DataError(f"no object '{kind}': data/scenes/objects.py lists them")
    if colour not in COLOURS:
        raise DataError(f"no colour '{colour}': there are {', '.join(COLOURS)}")


@functools.lru_cache(maxsize=512)
def _drawing(kind: str) -> Drawing:
    return measure(drawing_of(kind))


def _nearest(value: float) -> int:
    """Halves up, so that a shift by a whole pixel shifts every box alike."""
    return int(np.floor(value + 0.5))
