"""Places: inside the picture, apart also in pixels, relations hold and are unmistakable."""

import itertools

import numpy as np
import pytest

from textdiff.data.scenes.draw import COUNTS
from textdiff.data.scenes.facts import RELATIONS, Thing
from textdiff.data.scenes.layout import GAP, SIZES, arrangements, places
from textdiff.data.scenes.sprites import SMALLEST, Sprites

GROUPS = sorted(set().union(*COUNTS.values()))


def cases():
    for counts in GROUPS:
        for sizes in itertools.product(SIZES[sum(counts)], repeat=len(counts)):
            for relation in RELATIONS if len(counts) == 2 else (None,):
                yield counts, sizes, relation


def boxes(counts, sizes, relation):
    """(N, things) centres x, y and sides."""
    centres = np.array(arrangements(counts, sizes, relation))
    return centres[..., 0], centres[..., 1], np.repeat(sizes, counts)


def test_a_pair_has_tens_of_places():
    assert sum(len(arrangements((1,), (size,), None)) for size in SIZES[1]) == 27


@pytest.mark.parametrize("things", [1, 2, 3])
def test_boxes_lie_inside(things):
    for size in SIZES[things]:
        centres = places(size, things)
        assert (centres >= size / 2 - 1e-9).all() and (centres <= 1 - size / 2 + 1e-9).all()


def test_boxes_never_touch():
    for counts, sizes, relation in cases():
        x, y, side = boxes(counts, sizes, relation)
        assert len(x) >= 8
        for i, j in itertools.combinations(range(sum(counts)), 2):
            apart = np.maximum(abs(x[:, i] - x[:, j]), abs(y[:, i] - y[:, j]))
            assert (apart >= (side[i] + side[j]) / 2 + GAP - 1e-5).all()


@pytest.mark.parametrize("image_size", [SMALLEST, 32, 41])
def test_nor_do_boxes_rounded_to_pixels(image_size):
    sprites = Sprites(image_size)
    for counts, sizes, relation in cases():
        x, y, side = boxes(counts, sizes, relation)
        for row in range(0, len(x), 7):
            drawn = [
                sprites.box(Thing("star", "red", side[k], x[row, k], y[row, k]))
                for k in range(len(side))
            ]
            for one, other in itertools.combinations(drawn, 2):
                assert (
                    one.left + one.side <= other.left
                    or other.left + other.side <= one.left
                    or one.top + one.side <= other.top
                    or other.top + other.side <= one.top
                )


@pytest.mark.parametrize("relation", RELATIONS)
def test_every_thing_of_a_group_stands_in_the_relation(relation):
    for counts, sizes, related in cases():
        if related != relation:
            continue
        x, y, side = boxes(counts, sizes, relation)
        along = x if relation in ("left of", "right of") else y
        if relation in ("right of", "below"):
            along = -along
        first = (along + side / 2)[:, : counts[0]].max(1)
        second = (along - side / 2)[:, counts[0] :].min(1)
        assert (first < second).all()
