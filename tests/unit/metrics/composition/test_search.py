"""The search against one by brute force; boxes that are clear of others; limits."""

from __future__ import annotations

import pytest
import torch

from textdiff.metrics.composition.search import Limits, Search, errors_before, places_of
from textdiff.metrics.composition.smooth import smooth
from textdiff.metrics.composition.templates import templates_on
from textdiff.randomness import Stream

SIZE, SIDES = 32, [9, 12]
LIMITS = Limits(min_share=0.25, max_error=0.3)


def sprites(side: int, count: int = 4) -> torch.Tensor:
    """Opaque squares of four by four random fields."""
    fields = Stream("fields", side).uniform(count, 3, 4, 4).float()
    opaque = torch.ones(count, 1, side, side)
    return torch.cat([torch.nn.functional.interpolate(fields, (side, side)), opaque], dim=1)


@pytest.fixture(scope="module")
def search() -> Search:
    templates = [templates_on(torch.ones(3), sprites(side), SIZE, pool=2) for side in SIDES]
    return Search(templates, places_of(SIDES, SIZE, 1), 1, LIMITS)


def picture(*things: tuple[int, int, int, int]) -> torch.Tensor:
    """(1, 3, H, W), J of things (number of the side, thing, top, left) on white."""
    canvas = torch.zeros(1, 3, SIZE, SIZE)
    for number, thing, top, left in things:
        side = SIDES[number]
        canvas[0, :, top : top + side, left : left + side] = sprites(side)[thing, :3] - 1
    return smooth(canvas, SIZE)


def test_places_are_all_that_lie_inside():
    places = places_of(SIDES, SIZE, 1)
    assert len(places) == (32 - 9 + 1) ** 2 + (32 - 12 + 1) ** 2
    assert int((places.top + places.side).max()) == SIZE == int((places.left + places.side).max())
    assert len(places_of(SIDES, SIZE, 2)) == 12**2 + 11**2


def test_clear_of_is_no_pixel_shared():
    places = places_of([2, 3], 6, 1)
    masks = torch.zeros(len(places), 6, 6)
    for k in range(len(places)):
        top, left, side = (int(each[k]) for each in (places.top, places.left, places.side))
        masks[k, top : top + side, left : left + side] = 1
    shared = masks.flatten(1) @ masks.flatten(1).T
    assert torch.equal(places.clear_of(torch.arange(len(places))), shared == 0)


@pytest.mark.parametrize("thing", [(0, 1, 3, 17), (1, 2, 20, 0), (1, 0, 11, 6)])
def test_finds_the_thing_its_size_and_place(search, thing):
    difference = picture(thing)
    match = search.best(difference, search.scores(difference))
    places, place = search.places, match.place[0]
    read = places.size[place], match.thing[0], places.top[place], places.left[place]
    assert tuple(map(int, read)) == thing
    assert match.gain[0].item() == pytest.approx(difference.square().sum().item(), rel=1e-4)


def test_scores_are_the_best_coarse_gains_of_each_place(search):
    difference = picture((0, 1, 3, 17), (1, 2, 15, 2))
    scores, pool = search.scores(difference)[0], 2
    for place in range(0, len(search.places), 97):
        templates = search.templates[int(search.places.size[place])]
        top, left = int(search.places.top[place]), int(search.places.left[place])
        side = pool * templates.coarse_side
        whole = torch.nn.functional.pad(difference, (0, pool, 0, pool))
        box = whole[..., top : top + side, left : left + side]
        patch = torch.nn.functional.avg_pool2d(box, pool).flatten(1)
        error = (patch - templates.coarse).square().sum(1).amin()
        before = patch.square().sum()
        met = before - error > 0.25 * before and error <= 0.2**2 * patch.shape[1]
        expected = (before - error).item() if met else -torch.inf
        assert scores[place].item() == pytest.approx(expected, abs=1e-3)


def test_the_next_thing_is_found_where_places_are_clear_of_the_first(search):
    difference = picture((0, 1, 3, 17), (1, 2, 15, 2))
    scores = search.scores(difference)
    first = search.best(difference, scores)
    left = scores.masked_fill(~search.places.clear_of(first.place), -torch.inf)
    second = search.best(difference, left)
    assert {int(first.thing[0]), int(second.thing[0])} == {1, 2}
    none = left.masked_fill(~search.places.clear_of(second.place), -torch.inf)
    assert search.best(difference, none).gain[0] == -torch.inf


def test_batches_give_what_single_pictures_give(search):
    pictures = [picture((0, k, 2 * k, 20 - k)) for k in range(4)]
    together = torch.cat(pictures)
    match = search.best(together, search.scores(together))
    for k, single in enumerate(pictures):
        alone = search.best(single, search.scores(single))
        assert (match.place[k], match.thing[k]) == (alone.place[0], alone.thing[0])


def test_limits():
    """A box of 100 values: too much of its shapes left; little enough; left too much in all."""
    before, flat = torch.full((3,), 14.0), torch.tensor([4.0, 4.0, 14.0])
    left = torch.tensor([3.1, 2.9, 9.2])
    assert LIMITS.met(before - left, before, flat, 100).tolist() == [False, True, False]


def test_errors_of_one_colour_all_over():
    """One box of one colour, one of two in equal parts, 3 channels of 2 pixels each."""
    boxes = torch.tensor([[0.5, 0.5, 0.1, 0.1, 0.0, 0.0], [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]])
    before, flat = errors_before(boxes)
    torch.testing.assert_close(before, torch.tensor([0.52, 2.0]))
    torch.testing.assert_close(flat, torch.tensor([0.0, 1.0]))
