"""Things as pixels: each (kind, colour) rasterised once per side of its box.

recoloured SVG -> resvg at 4x the side -> box filter -> premultiplied RGBA
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
from textdiff.data.scenes.recolour import Drawing, measure, rasterise, recoloured
from textdiff.errors import DataError, UsageError, require_extra

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
        self._sprites: dict[tuple[str, str, int], NDArray[np.float32]] = {}
        self._bytes = 0

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
        key = kind, colour, side
        if key not in self._sprites:
            self._sprites[key] = _rasterised(kind, colour, side)
            self._bytes += self._sprites[key].nbytes
            while self._bytes > LIMIT_BYTES and len(self._sprites) > 1:
                self._bytes -= self._sprites.pop(next(iter(self._sprites))).nbytes
        return self._sprites[key]


def check_size(image_size: int) -> None:
    if image_size < SMALLEST:
        raise UsageError(
            f"data.image_size {image_size}: the things of scenes cannot be told apart below "
            f"{SMALLEST} pixels; give {SMALLEST} or more"
        )


def svg_of(kind: str, colour: str) -> str:
    """The drawing of a kind in a colour; its view box is its box. Raises DataError."""
    if kind not in KINDS:
        raise DataError(f"no object '{kind}': data/scenes/objects.py lists them")
    if colour not in COLOURS:
        raise DataError(f"no colour '{colour}': there are {', '.join(COLOURS)}")
    return recoloured(_drawing(kind), COLOURS[colour])


@functools.lru_cache(maxsize=512)
def _drawing(kind: str) -> Drawing:
    return measure(drawing_of(kind))


def _rasterised(kind: str, colour: str, side: int) -> NDArray[np.float32]:
    large = rasterise(svg_of(kind, colour), side * OVERSAMPLING)
    rgba = large.reshape(4, side, OVERSAMPLING, side, OVERSAMPLING).mean((2, 4))
    rgba[:3] *= 255
    return rgba


def _nearest(value: float) -> int:
    """Halves up, so that a shift by a whole pixel shifts every box alike."""
    return int(np.floor(value + 0.5))
