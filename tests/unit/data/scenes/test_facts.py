"""Facts of scenes: groups, JSON there and back, what is refused."""

import json

import pytest

from textdiff.data.scenes.facts import Group, Scene, Thing
from textdiff.errors import DataError

PIG, STAR = Thing("pig", "blue", 0.4, 0.25, 0.25), Thing("star", "yellow", 0.3, 0.75, 0.5)
SCENE = Scene((PIG, STAR, Thing("star", "yellow", 0.3, 0.75, 0.85)), "green", "left of")


def test_groups_are_runs_of_equal_kind_and_colour():
    assert SCENE.groups == (Group("pig", "blue", 1), Group("star", "yellow", 2))


def test_json_there_and_back():
    assert Scene.from_json(json.loads(json.dumps(SCENE.to_json()))) == SCENE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"things": []}, "0 things, 1 to 3"),
        ({"things": [1]}, "1 is not {kind, colour, size, x, y}"),
        ({"background": "teal"}, 'colour "teal"; known: black'),
        ({"relation": "beside"}, 'relation "beside"; known: left of'),
        ({"relation": None}, "2 groups with relation None"),
        ({"things": None}, "no list 'things'"),
    ],
)
def test_what_is_no_scene_is_refused(change, message):
    with pytest.raises(DataError, match="facts of a scene") as error:
        Scene.from_json(SCENE.to_json() | change)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("field", "value"), [("size", 0), ("x", 1.5), ("y", "1"), ("size", True), ("colour", "teal")]
)
def test_what_is_no_thing_is_refused(field, value):
    facts = Scene((PIG,)).to_json()
    facts["things"][0][field] = value
    with pytest.raises(DataError, match=field):
        Scene.from_json(facts)
