"""Pictures read back into scenes by analysis through synthesis: what would have to be drawn?

picture ── background ──► J = picture - background ── blur ──► search: the thing that explains most
   ▲                                                             │ of the box that it lies in
   └── its box is taken; the next, until no thing is left that explains enough ◄──┘

A thing counts as read where it meets `LIMITS`, with pixels from 0 to 1: noise and blots leave more
error in its box. Where two or more things of at most `PART` of the largest one's side leave less
than half of the error, these are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from textdiff.data.scenes.facts import MOST_THINGS, Scene, Thing
from textdiff.data.scenes.render import background_rgb
from textdiff.data.scenes.sprites import Sprites
from textdiff.metrics.composition.search import Differences, Limits, PerPlace, Search, places_of
from textdiff.metrics.composition.smooth import smooth
from textdiff.metrics.composition.templates import templates_on
from textdiff.types import Pictures

LIMITS = Limits(min_share=0.15, max_error=0.35)
BORDER = 1 / 16  # of the side: where the background is looked for
LEAST_BORDER = 0.25  # share of the border that a background has at least
PART = 0.65  # of a thing's side: two things of this side might have been read as one
FAR = 0.25  # distance of colours from 0 to 1 from which they are other colours
POOLED_SIDE = 16  # pictures are searched at about this size
DENSE_SIDE = 32  # places are a pixel apart up to this size of pictures
AT_ONCE = 64


@dataclass(frozen=True)
class Vocabulary:
    """What may be in a picture. sizes: of boxes, as shares of its side."""

    kinds: tuple[str, ...]
    colours: tuple[str, ...]
    sizes: tuple[float, ...]
    backgrounds: tuple[str, ...]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Every kind in every colour."""
        return [(kind, colour) for kind in self.kinds for colour in self.colours]


def vocabulary_of(scenes: Sequence[Scene]) -> Vocabulary:
    """All that is in some of these scenes."""
    things = [thing for scene in scenes for thing in scene.things]
    return Vocabulary(
        kinds=tuple(sorted({thing.kind for thing in things})),
        colours=tuple(sorted({thing.colour for thing in things})),
        sizes=tuple(sorted({thing.size for thing in things})),
        backgrounds=tuple(sorted({scene.background for scene in scenes})),
    )


@dataclass(frozen=True)
class Reading:
    """What was read in a picture.

    things: none to four, the one that explains most first. background: None where the picture has
    none of the known ones; nothing is read then. error: root mean squared error of the blurred
    picture against all this, from 0 to 1.
    """

    things: tuple[Thing, ...]
    background: str | None
    error: float | None


class SceneReader:
    """Reads pictures of the size of `sprites`.

    Raises:
        DataError: kinds and colours that there are none of.
    """

    def __init__(self, vocabulary: Vocabulary, sprites: Sprites) -> None:
        self.vocabulary, self.image_size = vocabulary, sprites.image_size
        self._pairs = vocabulary.pairs
        boxes = {size: sprites.box(Thing("", "", size, 0.5, 0.5)) for size in vocabulary.sizes}
        self._sizes = {box.side: size for size, box in boxes.items()}
        self._sprites = [self._stacked(sprites, side) for side in self._sizes]
        self._pool = max(1, self.image_size // POOLED_SIDE)
        self._stride = max(1, self.image_size // DENSE_SIDE)
        self._places = places_of(list(self._sizes), self.image_size, self._stride)
        rgb = [background_rgb(name) for name in vocabulary.backgrounds]
        self._rgb = torch.tensor(rgb, dtype=torch.float32) / 255
        self._kept: tuple[int, Search] | None = None

    def _stacked(self, sprites: Sprites, side: int) -> Float[Tensor, "things 4 side side"]:
        """All pairs, with colours from 0 to 1 too."""
        rgba = np.stack([sprites.sprite(kind, colour, side) for kind, colour in self._pairs])
        rgba[:, :3] /= 255
        return torch.from_numpy(rgba)

    def read(self, images: Pictures) -> list[Reading]:
        """The scene in each picture (n, 3, S, S) uint8.

        Raises:
            ValueError: pictures of another size.
        """
        if images.shape[-2:] != (self.image_size, self.image_size):
            raise ValueError(f"pictures of {tuple(images.shape)}, not {self.image_size} wide")
        parts = [self._background(some.cpu().float() / 255) for some in images.split(AT_ONCE)]
        backgrounds = torch.cat(parts)
        readings = [Reading((), None, None)] * len(images)
        for number in backgrounds.unique().tolist():
            if number < 0:
                continue
            for rows in (backgrounds == number).nonzero()[:, 0].split(AT_ONCE):
                read = self._read_on(number, images[rows].cpu().float() / 255)
                for row, reading in zip(rows.tolist(), read, strict=True):
                    readings[row] = reading
        return readings

    def _background(self, pixels: Float[Tensor, "n 3 height width"]) -> Int[Tensor, " n"]:
        """The colour that most pixels of the border are near to, as a large thing may hide most of
        the others; -1 where too few are near to any. Where there is one alone, it is that."""
        if len(self._rgb) == 1:
            return torch.zeros(len(pixels), dtype=torch.int64)
        border = torch.ones(pixels.shape[-2:], dtype=torch.bool)
        width = max(1, round(BORDER * self.image_size))
        border[width:-width, width:-width] = False
        squares = (pixels[..., border] - self._rgb[:, None, :, None]).square().sum(2)
        nearest = squares.clamp(max=FAR**2).sum(2).argmin(0)
        near = (squares < FAR**2).float().mean(2).gather(0, nearest[None])[0]
        return torch.where(near < LEAST_BORDER, -1, nearest)

    def _search(self, background: int) -> Search:
        """That of the last background is kept: of all of them, templates could fill the memory."""
        if self._kept is None or self._kept[0] != background:
            colour = self._rgb[background]
            templates = [
                templates_on(colour, some, self.image_size, self._pool) for some in self._sprites
            ]
            self._kept = background, Search(templates, self._places, self._stride, LIMITS)
        return self._kept[1]

    def _read_on(self, background: int, pixels: Float[Tensor, "n 3 height width"]) -> list[Reading]:
        search = self._search(background)
        difference = smooth(pixels - self._rgb[background][:, None, None], self.image_size)
        scores = search.scores(difference)
        found, left = self._things(search, difference, scores.clone())
        sides = [max((self._places.side[place] for place, _ in each), default=0) for each in found]
        small = self._places.side <= PART * torch.tensor(sides)[:, None]
        rows = small.any(1).nonzero()[:, 0]
        if len(rows):
            scores = scores[rows].masked_fill(~small[rows], -torch.inf)
            parts, without = self._things(search, difference[rows], scores)
            for k, row in enumerate(rows.tolist()):
                if len(parts[k]) > 1 and without[k] < left[row] / 2:
                    found[row], left[row] = parts[k], without[k]
        name = self.vocabulary.backgrounds[background]
        errors = (left.clamp(min=0) / difference[0].numel()).sqrt().tolist()
        return [
            Reading(tuple(self._thing(*each) for each in things), name, error)
            for things, error in zip(found, errors, strict=True)
        ]

    def _things(
        self, search: Search, difference: Differences, scores: PerPlace
    ) -> tuple[list[list[tuple[int, int]]], Float[Tensor, " n"]]:
        """(place, thing) of what is in each picture, and the squared error that is left; `scores`
        become -inf at the places that are taken."""
        things: list[list[tuple[int, int]]] = [[] for _ in difference]
        left = difference.square().sum((1, 2, 3))
        rows = torch.arange(len(difference))
        for _ in range(MOST_THINGS + 1):
            match = search.best(difference[rows], scores[rows])
            kept = match.gain > -torch.inf
            rows, place, thing = rows[kept], match.place[kept], match.thing[kept]
            if not len(rows):
                break
            left[rows] -= match.gain[kept]
            pairs = zip(place.tolist(), thing.tolist(), strict=True)
            for row, pair in zip(rows.tolist(), pairs, strict=True):
                things[row].append(pair)
            clear = self._places.clear_of(place)
            scores[rows] = scores[rows].masked_fill(~clear, -torch.inf)
        return things, left

    def _thing(self, place: int, thing: int) -> Thing:
        left, top, side = (
            int(each[place]) for each in (self._places.left, self._places.top, self._places.side)
        )
        x, y = ((corner + side / 2) / self.image_size for corner in (left, top))
        return Thing(*self._pairs[thing], self._sizes[side], x, y)
