"""Captions: grammar, and facts -> caption -> facts by a parser that knows nothing of `wording`."""

import pytest

from tests.helpers.scene_captions import parse, said_of
from textdiff.data.scenes.colours import COLOURS
from textdiff.data.scenes.facts import RELATIONS, Scene, Thing
from textdiff.data.scenes.objects import KINDS
from textdiff.data.scenes.wording import captions, plural, with_article


def things(kind, colour, count=1):
    return tuple(Thing(kind, colour, 0.3, 0.2 + 0.3 * i, 0.5) for i in range(count))


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (1, ["an orange apple", "orange apple", "an apple that is orange"]),
        (2, ["two orange apples", "two apples that are orange"]),
    ],
)
def test_one_group(count, expected):
    wordings = captions(Scene(things("apple", "orange", count)))
    assert wordings == (*expected, f"a picture of {expected[0]}")


def test_a_relation_on_a_background():
    scene = Scene((*things("pig", "blue"), *things("star", "yellow", 2)), "green", "above")
    assert captions(scene, says_background=True) == (
        "a blue pig above two yellow stars on a green background",
        "two yellow stars below a blue pig on a green background",
        "a blue pig is above two yellow stars on a green background",
        "a pig that is blue above two stars that are yellow on a green background",
    )


@pytest.mark.parametrize(
    ("kind", "several"),
    [
        ("book", "books"),
        ("watch", "watches"),
        ("fly", "flies"),
        ("monkey", "monkeys"),
        ("fox", "foxes"),
        ("mouse", "mice"),
        ("goose", "geese"),
        ("tropical fish", "tropical fish"),
        ("water buffalo", "water buffaloes"),
        ("maple leaf", "maple leaves"),
        ("game die", "game dice"),
    ],
)
def test_plurals(kind, several):
    assert plural(kind) == several


@pytest.mark.parametrize(
    "phrase", ["a unicorn", "an umbrella", "a ewe", "an orange lemon", "a house", "an ox"]
)
def test_articles(phrase):
    assert with_article(phrase.split(maxsplit=1)[1]) == phrase


def test_every_kind_and_count_reads_back():
    for kind in KINDS:
        for count in (1, 2, 3):
            scene = Scene(things(kind, "orange", count))
            for caption in captions(scene):
                assert parse(caption) == said_of(scene, False)


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("counts", [(1, 1), (2, 1), (1, 2)])
def test_every_relation_and_colour_reads_back(relation, counts):
    for colour in COLOURS:
        one, two = things("hot dog", colour, counts[0]), things("apple", "red", counts[1])
        scene = Scene((*one, *two), "white" if colour != "white" else "blue", relation)
        for says_background in (False, True):
            for caption in captions(scene, says_background):
                assert parse(caption) == said_of(scene, says_background)


@pytest.mark.parametrize(
    "text",
    [
        "a orange apple",
        "two red apple pies",
        "a red apples",
        "two apples that is red",
        "an red ox",
    ],
)
def test_the_parser_refuses_what_is_wrong(text):
    with pytest.raises(ValueError):
        parse(text)
