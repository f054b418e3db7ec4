"""Held-out combinations: their share, every word left, nested, canonical."""

from collections import Counter

import pytest

from textdiff.data.scenes.colours import COLOURS
from textdiff.data.scenes.facts import CONVERSE, RELATIONS, Scene, Thing
from textdiff.data.scenes.objects import KINDS
from textdiff.data.scenes.splits import canonical, hold_out
from textdiff.errors import UsageError

NAMES = list(KINDS)


def test_one_pair_in_eight_evenly_over_kinds_and_colours():
    unseen = hold_out(NAMES[:24], 0.125, 0, False).unseen_pairs
    assert len(unseen) == len(set(unseen)) == 33
    assert set(Counter(kind for kind, _ in unseen).values()) == {1, 2}
    assert set(Counter(colour for _, colour in unseen).values()) == {3}


@pytest.mark.parametrize("share", [0.01, 0.125, 0.5, 0.8])
def test_every_word_is_seen(share):
    combinations = hold_out(NAMES[:24], share, 3, True)
    words = {word for pair in combinations.seen_pairs for word in pair}
    assert words == {*NAMES[:24], *COLOURS}
    assert not set(combinations.seen_pairs) & set(combinations.unseen_pairs)
    assert len(combinations.seen_pairs) + len(combinations.unseen_pairs) == 264


def test_more_kinds_change_nothing_for_the_others():
    few, many = (hold_out(NAMES[:count], 0.125, 0, True) for count in (24, 48))
    assert many.unseen_pairs[: len(few.unseen_pairs)] == few.unseen_pairs
    assert set(few.unseen_triples) == {
        triple for triple in many.unseen_triples if {triple[0], triple[2]} <= set(few.kinds)
    }


def test_seeds_hold_out_others():
    assert hold_out(NAMES[:24], 0.125, 0, False) != hold_out(NAMES[:24], 0.125, 1, False)


@pytest.mark.parametrize("relation", RELATIONS)
def test_a_relation_and_its_converse_are_one_triple(relation):
    triple = canonical("pig", relation, "star")
    assert triple == canonical("star", CONVERSE[relation], "pig")
    assert triple[1] in ("left of", "above")


def test_what_a_scene_has_that_is_held_out():
    combinations = hold_out(NAMES[:4], 0.125, 0, True)
    kind, colour = combinations.unseen_pairs[0]
    other = next(pair for pair in combinations.seen_pairs if pair[0] != kind)
    one, two = Thing(kind, colour, 0.4, 0.2, 0.5), Thing(*other, 0.4, 0.8, 0.5)
    assert (kind, colour) in combinations.unseen_in(Scene((one, two), "white", "left of"))
    assert combinations.unseen_in(Scene((two,))) == ()
    first, relation, second = next(t for t in combinations.unseen_triples if t[0] != t[2])
    one, two = (
        Thing(name, combinations.seen_colours[name][0], 0.4, 0.5, 0.5) for name in (second, first)
    )
    scene = Scene((one, two), "white", CONVERSE[relation])
    assert (first, relation, second) in combinations.unseen_in(scene)


@pytest.mark.parametrize(
    ("kinds", "share", "relations", "message"),
    [
        (24, 0.95, False, "of 264 pairs from training, which leaves '"),
        (2, 0.6, False, "leaves '"),
        (3, 0.9, True, "from training, which leaves '"),
        (2, 0.05, True, "holds out none of 8 (object, relation, object) triples"),
        (24, 0.001, False, "is less than one; give 0.0038 or more"),
    ],
)
def test_a_share_that_leaves_a_word_or_no_pair_is_refused(kinds, share, relations, message):
    with pytest.raises(UsageError) as error:
        hold_out(NAMES[:kinds], share, 0, relations)
    assert message in str(error.value) and "held_out" in str(error.value)
