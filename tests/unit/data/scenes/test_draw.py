"""Which scene is which: a function of (seed, split, index), with nothing of test in training."""

from collections import Counter
from dataclasses import replace

import pytest

from tests.helpers.scene_captions import parse
from textdiff.data.scenes.draw import COUNTS, Drawer, _side
from textdiff.data.scenes.facts import CONVERSE, Scene
from textdiff.data.scenes.objects import KINDS
from textdiff.data.scenes.splits import canonical, hold_out
from textdiff.data.scenes.wording import captions

NAMES = list(KINDS)[:6]
LEVELS = list(COUNTS)


def drawer(level, seed=0, share=0.125, **settings):
    combinations = hold_out(NAMES, share, seed, level in ("relations", "scenes"))
    return Drawer(level, seed, combinations, **settings)


@pytest.mark.parametrize("level", LEVELS)
def test_a_scene_does_not_depend_on_those_before_it(level):
    one, other = drawer(level), drawer(level)
    ahead = [one.scene("train", index) for index in range(20)]
    assert [other.scene("train", index) for index in reversed(range(20))] == ahead[::-1]
    assert drawer(level, seed=1).scene("train", 0) != ahead[0]


@pytest.mark.parametrize("level", LEVELS)
def test_levels_have_the_groups_that_they_say(level):
    scenes = [drawer(level).scene("train", index) for index in range(150)]
    counts = {tuple(group.count for group in scene.groups) for scene in scenes}
    assert counts == set(COUNTS[level])
    assert all(Scene.from_json(scene.to_json()) == scene for scene in scenes)
    backgrounds = {scene.background for scene in scenes}
    assert backgrounds == {"white"} if level != "scenes" else len(backgrounds) == 11
    for scene in scenes if level == "scenes" else ():
        assert scene.background not in {thing.colour for thing in scene.things}


@pytest.mark.parametrize("level", LEVELS)
def test_no_held_out_combination_is_in_any_training_caption(level):
    """Read from the captions, not from the facts; test scenes have exactly one each."""
    source = drawer(level)
    unseen = {*source.combinations.unseen_pairs, *source.combinations.unseen_triples}

    def held_out(caption):
        said = parse(caption)
        pairs = {(group.kind, group.colour) for group in said.groups}
        if said.relation:
            first, second = said.groups
            pairs.add(canonical(first.kind, said.relation, second.kind))
        return unseen & pairs

    for split, expected in (("train", 0), ("val", 0), ("test", 1)):
        for index in range(200):
            for caption in captions(source.scene(split, index), level == "scenes"):
                assert len(held_out(caption)) == expected, (split, caption)


def test_pairs_come_in_turn():
    source = drawer("pairs")
    seen, unseen = source.combinations.seen_pairs, source.combinations.unseen_pairs
    scenes = [source.scene("train", index) for index in range(3 * len(seen))]
    shown = Counter((scene.things[0].kind, scene.things[0].colour) for scene in scenes)
    assert set(shown) == set(seen) and set(shown.values()) == {3}
    tests = [source.scene("test", index) for index in range(2 * len(unseen))]
    shown = Counter((scene.things[0].kind, scene.things[0].colour) for scene in tests)
    assert set(shown) == set(unseen) and set(shown.values()) == {2}


@pytest.mark.parametrize("level", LEVELS)
def test_val_has_no_scene_of_train(level):
    source = drawer(level)
    train = {source.scene("train", index) for index in range(600)}
    assert not train & {source.scene("val", index) for index in range(60)}


def test_half_of_the_test_scenes_have_a_held_out_triple():
    source = drawer("relations", share=0.2)
    triples = set(source.combinations.unseen_triples)
    scenes = [source.scene("test", index) for index in range(80)]
    found = [set(source.combinations.unseen_in(scene)) & triples for scene in scenes]
    assert [bool(each) for each in found] == [False, True] * 40
    assert len(set().union(*found)) == min(40, len(triples))


def test_a_pair_without_a_place_left_gives_way(monkeypatch):
    """Where every place of every pair is train's, val ends with an error instead of a hang."""
    monkeypatch.setattr("textdiff.data.scenes.draw._side", lambda seed, scene: "train")
    monkeypatch.setattr("textdiff.data.scenes.draw.TRIES", 2)
    with pytest.raises(RuntimeError, match="no scene 0 of split val"):
        replace(drawer("pairs")).scene("val", 0)


@pytest.mark.parametrize("level", ["relations", "scenes"])
def test_every_second_scene_exchanges_the_things_of_the_one_before(level):
    source, exchanged = drawer(level, converse=True), 0
    for index in range(0, 300, 2):
        scene, other = (source.scene("train", index + k) for k in (0, 1))
        assert not source.combinations.unseen_in(other)
        assert _side(0, other) == "train"
        if scene.relation and other.relation != scene.relation:
            assert other.groups == scene.groups
            assert other.relation == CONVERSE[scene.relation]
            exchanged += 1
        else:  # one group alone, or a triple that is held out
            assert other == scene
    assert exchanged > (100 if level == "relations" else 40)


def test_exchanged_scenes_leave_the_other_splits_as_they_are():
    with_them, without = drawer("relations", converse=True), drawer("relations")
    for split in ("val", "test"):
        assert [with_them.scene(split, k) for k in range(20)] == [
            without.scene(split, k) for k in range(20)
        ]
