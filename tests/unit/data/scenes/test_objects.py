"""The list of kinds: chosen by name, as the rule of `choice` makes it."""

import itertools

import pytest

from textdiff.data.scenes.choice import DISTANCES, choose_kinds, distance, silhouette, takes_article
from textdiff.data.scenes.colours import COLOURS
from textdiff.data.scenes.objects import KINDS, drawing_of, kinds_named
from textdiff.data.scenes.recolour import measure
from textdiff.errors import UsageError


def test_hundreds_of_kinds_with_names_of_one_or_two_words():
    assert len(KINDS) > 200
    for kind in KINDS:
        words = kind.split()
        assert len(words) <= 2 and takes_article(words) and not set(words) & set(COLOURS)


def test_the_first_of_more_are_the_same():
    assert kinds_named(48, [])[:24] == kinds_named(24, [])
    assert kinds_named(24, ["pig", "star"]) == ("pig", "star")


@pytest.mark.parametrize(
    ("number", "names", "message"),
    [
        (5000, [], "data.objects 5000: there are"),
        (24, ["pig", "starr"], "no object 'starr'; did you mean 'star'?"),
        (24, ["zzz"], "no object 'zzz'; data/scenes/objects.py lists them"),
        (24, ["pig", "star", "pig"], "'pig' is given twice"),
    ],
)
def test_kinds_that_are_not_there(number, names, message):
    with pytest.raises(UsageError) as error:
        kinds_named(number, names)
    assert message in str(error.value)


def test_the_first_kinds_differ_in_shape():
    shapes = [silhouette(measure(drawing_of(kind))) for kind in kinds_named(24, [])]
    assert min(distance(a, b) for a, b in itertools.combinations(shapes, 2)) >= DISTANCES[0]


@pytest.mark.slow
def test_the_list_is_what_the_rule_makes():
    assert [(name, code) for code, name in choose_kinds()] == list(KINDS.items())
