"""Readings against scenes, aspect by aspect."""

from __future__ import annotations

import pytest

from textdiff.data.scenes.facts import RELATIONS, Scene, Thing
from textdiff.metrics.composition.agreement import ASPECTS, agreement, relation_between
from textdiff.metrics.composition.reader import Reading

RED_APPLE, BLUE_PIG = ("apple", "red", 0.4, 0.25, 0.5), ("pig", "blue", 0.4, 0.75, 0.5)


def thing(kind: str, colour: str, size: float = 0.3, x: float = 0.5, y: float = 0.5) -> Thing:
    return Thing(kind, colour, size, x, y)


def reading(*things: Thing, background: str = "white") -> Reading:
    return Reading(things, background, 0.0)


def wrong(read: Reading, asked: Scene) -> set[str]:
    found = agreement(read, asked)
    return {name for name in ASPECTS if getattr(found, name) is False}


ONE = Scene((thing("apple", "red"),))
THREE = Scene((thing("apple", "red"),) * 3)
TWO = Scene((thing(*RED_APPLE), thing(*BLUE_PIG)), "white", "left of")


@pytest.mark.parametrize("asked", [ONE, THREE, TWO])
def test_a_flawless_picture_agrees_in_all(asked):
    assert wrong(reading(*reversed(asked.things)), asked) == set()


@pytest.mark.parametrize(
    ("read", "asked", "names"),
    [
        (reading(), ONE, {"object", "colour", "both", "count", "all"}),
        (reading(thing("pig", "red")), ONE, {"object", "both", "all"}),
        (reading(thing("apple", "pink")), ONE, {"colour", "both", "all"}),
        (reading(*THREE.things[:2]), THREE, {"count", "all"}),
        (reading(*THREE.things, thing("apple", "red")), THREE, {"count", "all"}),
        (
            reading(*THREE.things[:2], thing("apple", "blue")),
            THREE,
            {"colour", "both", "all"},
        ),
        (reading(*ONE.things, background="green"), ONE, {"background", "all"}),
        # colours on the wrong things: each word is there, bound wrongly
        (
            reading(thing("apple", "blue", x=0.25), thing("pig", "red", x=0.75)),
            TWO,
            {"both", "all"},
        ),
        (
            reading(thing("apple", "red", x=0.75), thing("pig", "blue", x=0.25)),
            TWO,
            {"relation", "all"},
        ),
        (reading(thing("apple", "red")), TWO, {"object", "colour", "both", "count", "all"}),
    ],
)
def test_what_is_wrong(read, asked, names):
    assert wrong(read, asked) == names


def test_relation_counts_where_both_things_are():
    assert agreement(reading(*ONE.things), ONE).relation is None
    assert agreement(reading(TWO.things[0]), TWO).relation is None
    # of another colour it is the thing all the same
    other = reading(thing("apple", "red", x=0.2), thing("pig", "green", x=0.8))
    assert agreement(other, TWO).relation is True


def test_things_of_one_kind_are_told_apart_by_colour():
    asked = Scene((thing("pig", "red", y=0.2), thing("pig", "blue", y=0.8)), "white", "above")
    assert agreement(reading(*asked.things), asked).relation is True
    swapped = reading(thing("pig", "red", y=0.8), thing("pig", "blue", y=0.2))
    assert agreement(swapped, asked).relation is False
    assert agreement(reading(asked.things[0], asked.things[0]), asked).relation is None


def test_relation_is_along_the_axis_of_the_greater_distance():
    middle = [thing("pig", "red")]
    places = {"left of": (0.2, 0.6), "right of": (0.9, 0.3), "above": (0.4, 0.1), "below": (0.6, 1)}
    assert set(places) == set(RELATIONS)
    for relation, (x, y) in places.items():
        assert relation_between([thing("apple", "red", x=x, y=y)], middle) == relation
    pair = [thing("pig", "red", x=0.1, y=0.4), thing("pig", "red", x=0.2, y=0.9)]
    assert relation_between(pair, middle) == "left of"
