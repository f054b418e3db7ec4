"""The thing that explains most of a picture, over all things, sizes and places.

    J    = blur(picture - background)
    gain = |J|^2 - |J - D|^2 = 2 <J, D> - |D|^2       over the thing's box

The gain is the squared error that drawing the thing takes away; what separate things take away adds
up. All things are compared at every place on means of `pool` x `pool` pixels, then the best things
at the best places pixel by pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from textdiff.metrics.composition.templates import Templates

Differences = Float[Tensor, "batch 3 height width"]  # J, from -1 to 1
PerPlace = Float[Tensor, "batch places"]
Indices = Int[Tensor, " n"]
PLACES, THINGS = 8, 6  # compared pixel by pixel: so many places, so many things at each
VALUES = 2**24  # gains held at once


@dataclass(frozen=True)
class Places:
    """Where a box may lie in a square picture: (P,) each.

    size: number of the box side. top, left, side: the box, in pixels; a picture that is larger by a
        margin has the box with its margin there.
    """

    size: Int[Tensor, " places"]
    top: Int[Tensor, " places"]
    left: Int[Tensor, " places"]
    side: Int[Tensor, " places"]

    def __len__(self) -> int:
        return len(self.size)

    def clear_of(self, place: Int[Tensor, " batch"]) -> Bool[Tensor, "batch places"]:
        """Which boxes share no pixel with the one at `place`, for each of B places."""
        top, left, side = (each[place][:, None] for each in (self.top, self.left, self.side))
        beside = (self.left + self.side <= left) | (left + side <= self.left)
        return beside | (self.top + self.side <= top) | (top + side <= self.top)


def places_of(sides: Sequence[int], image_size: int, stride: int) -> Places:
    """Boxes of these sides, `stride` pixels apart, that lie wholly inside."""
    parts = []
    for number, side in enumerate(sides):
        starts = torch.arange(0, image_size - side + 1, stride)
        top, left = (each.flatten() for each in torch.meshgrid(starts, starts, indexing="ij"))
        parts.append(torch.stack([top * 0 + number, top, left, top * 0 + side]))
    return Places(*torch.cat(parts, dim=1))


@dataclass(frozen=True)
class Limits:
    """When a thing counts as found in a box of n values: what it leaves of the squared error is

        |J - D|^2 <= (1 - min_share) min_c |J - c|^2      c: one colour all over the box
        |J - D|^2 <= n max_error^2

    Noise, and what has one colour all over, has no shape that a thing could explain.
    """

    min_share: float
    max_error: float

    def met(self, gain: Tensor, before: Tensor, flat: Tensor, values: int) -> Tensor:
        """Of boxes with so many values, whose squared error is `before` without the thing and
        `flat` with the best colour all over."""
        left = before - gain
        return (left <= (1 - self.min_share) * flat) & (left <= self.max_error**2 * values)


def errors_before(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Squared errors of boxes (n, 3 pixels, ...) without a thing and with the best colour all over,
    (n, ...) both."""
    before = boxes.square().sum(1)
    channels = boxes.unflatten(1, (3, -1))
    return before, before - channels.sum(2).square().sum(1) / channels.shape[2]


@dataclass(frozen=True)
class Match:
    """A thing for each of B pictures: (B,) each.

    place, thing: their numbers. gain: above; -inf where no thing meets the limits.
    """

    place: Int[Tensor, " batch"]
    thing: Int[Tensor, " batch"]
    gain: Float[Tensor, " batch"]


@dataclass(frozen=True)
class Search:
    """All things of several box sides, on one background, and where they may be.

    templates: one for each number in `places.size`. stride: between places, in pixels.
    """

    templates: Sequence[Templates]
    places: Places
    stride: int
    limits: Limits

    def scores(self, difference: Differences) -> PerPlace:
        """The best coarse gain at each place; -inf where even that does not meet the limits."""
        parts = []
        for templates in self.templates:
            patches = self._all_coarse(difference, templates)
            count = patches.shape[2]
            at_once = max(1, VALUES // (count * len(templates)))
            gains = torch.cat([templates.coarse_gains(p).amax(1) for p in patches.split(at_once)])
            met = self.limits.met(gains, *errors_before(patches), patches.shape[1])
            parts.append(gains.masked_fill_(~met, -torch.inf))
        return torch.cat(parts, dim=1)

    def _all_coarse(
        self, difference: Differences, templates: Templates
    ) -> Float[Tensor, "batch values count"]:
        """Means of `pool` x `pool` pixels of the boxes at every place of one side."""
        pool = templates.pool
        room = difference.shape[-1] - templates.side  # of a corner
        means = F.avg_pool2d(F.pad(difference, (0, pool, 0, pool)), pool, stride=1)
        used = room + pool * (templates.coarse_side - 1) + 1
        means = means[..., :used, :used]
        return F.unfold(means, templates.coarse_side, dilation=pool, stride=self.stride)

    def best(self, difference: Differences, scores: PerPlace) -> Match:
        """The thing of the greatest gain, among the places of the highest scores."""
        score, place = scores.topk(min(PLACES, len(self.places)), dim=1)
        things = min(THINGS, len(self.templates[0]))
        gain = difference.new_full((*place.shape, things), -torch.inf)
        thing = place.new_zeros(gain.shape)
        for number, templates in enumerate(self.templates):
            here = (self.places.size[place] == number) & (score > -torch.inf)
            picture, column = here.nonzero().T
            there = place[picture, column]
            patches = self._coarse(difference, templates, picture, there)
            likely = templates.coarse_gains(patches.T[None])[0].topk(things, dim=0).indices.T
            boxes = self._pixels(difference, torch.arange(templates.side), picture, there)
            gains = templates.gains(boxes, likely)
            before, flat = (each[:, None] for each in errors_before(boxes))
            gains.masked_fill_(~self.limits.met(gains, before, flat, boxes.shape[1]), -torch.inf)
            gain[picture, column], thing[picture, column] = gains, likely
        most, which = gain.flatten(1).max(1)
        row = torch.arange(len(difference))
        return Match(place[row, which // things], thing.flatten(1)[row, which], most)

    def _coarse(
        self, difference: Differences, templates: Templates, picture: Indices, place: Indices
    ) -> Float[Tensor, "n values"]:
        """Means of the pixels of boxes, `pool` x `pool` at a time."""
        pool = templates.pool
        means = F.avg_pool2d(F.pad(difference, (0, pool, 0, pool)), pool, stride=1)
        return self._pixels(means, pool * torch.arange(templates.coarse_side), picture, place)

    def _pixels(
        self, image: Differences, steps: Int[Tensor, " steps"], picture: Indices, place: Indices
    ) -> Float[Tensor, "n values"]:
        """Those at the corner of each box plus `steps`, both ways: (n, 3 len(steps)^2)."""
        width = image.shape[-1]
        corner = self.places.top[place] * width + self.places.left[place]
        offsets = (steps[:, None] * width + steps).flatten()
        planes = width * image.shape[-2] * torch.arange(3 * len(image)).view(-1, 3)
        index = (planes[picture] + corner[:, None])[:, :, None] + offsets
        return image.flatten()[index.flatten(1)]
