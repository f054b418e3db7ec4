"""Rates of pictures whose scenes are known; chance; the gap between seen and unseen; the table."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.helpers.protocols import CLIP, DATA, MODEL
from tests.helpers.small_scenes import KINDS, small_scenes
from textdiff.clip import ClipModel
from textdiff.data import open_data
from textdiff.data.scenes.facts import Scene, Thing
from textdiff.evaluation.composition.asked import Asked, asked_for, scenes_by_caption
from textdiff.evaluation.composition.measure import (
    Read,
    Values,
    aspect_of,
    by_prompt,
    chance_rates,
    difference,
    measure_composition,
    read_back,
)
from textdiff.evaluation.composition.reading import reader_for, reader_protocol
from textdiff.evaluation.composition.result import CompositionProtocol, CompositionResult
from textdiff.evaluation.composition.table import print_composition
from textdiff.evaluation.features.cached import clip_features
from textdiff.evaluation.pictures import captioned_pictures
from textdiff.evaluation.results import from_json, to_json


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return small_scenes(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def reader(config):
    return reader_for(open_data(config, "train"))


@pytest.fixture(scope="module")
def real(config, reader) -> dict[str, Read]:
    reads = {}
    for split in ("val", "test"):
        data = open_data(config, split)
        reads[split] = read_back(
            reader, asked_for(captioned_pictures(data), scenes_by_caption(data))
        )
    return reads


@pytest.fixture(scope="module")
def spoilt(reader, real) -> dict[str, Read]:
    """All pictures of the first two of four unseen prompts are blank."""
    asked = real["test"].asked
    images = asked.images.clone()
    images[asked.prompt < 2] = 255
    blank = Asked(asked.prompts, asked.scenes, images, asked.prompt)
    return {"val": real["val"], "test": read_back(reader, blank)}


@pytest.fixture(scope="module")
def result(real, spoilt, tiny_clip) -> CompositionResult:
    return measure_composition(spoilt, real, {"judge": clip_features(ClipModel.load(tiny_clip))})


def test_rates(result):
    for name in ("object", "colour", "both", "count", "all"):
        seen, unseen = (result.splits[split].aspects[name] for split in ("val", "test"))
        assert seen.drawn.rate.value == seen.real.rate.value == unseen.real.rate.value == 1
        assert unseen.drawn.rate.value == 0.5 and unseen.drawn.pictures == 16
        assert unseen.drawn.rate.low < 0.5 < unseen.drawn.rate.high
        gap = result.seen_minus_unseen[name]
        assert gap.value == 0.5 and gap.low < 0.5 < gap.high
    assert result.splits["test"].nothing == 0.5
    assert result.splits["val"].nothing == 0
    assert result.splits["val"].aspects.keys() == {"object", "colour", "both", "count", "all"}


def test_recall_of_the_judge_stands_beside(result):
    judged = result.splits["test"].recall_at_1["judge"]
    assert judged.drawn.chance == pytest.approx(1 / result.splits["test"].prompts)
    assert judged.drawn.pictures == 16
    assert "R@1 judge" not in result.seen_minus_unseen  # among other numbers of prompts


def test_one_split_has_no_gap(real):
    result = measure_composition({"test": real["test"]}, real, {})
    assert result.seen_minus_unseen is None
    assert "seen_minus_unseen" not in to_json(result)


def test_chance_is_that_of_other_prompts():
    things = [Thing(k, c, 0.4, 0.25, 0.5) for k in ("pig", "key") for c in ("red", "blue")]
    chances = chance_rates([Scene((thing,)) for thing in things])
    expected = {"object": 1 / 3, "colour": 1 / 3, "both": 0, "count": 1, "all": 0}
    assert chances == pytest.approx(expected)


def test_chance_of_a_relation_counts_where_there_are_relations():
    pair = (Thing("pig", "red", 0.4, 0.2, 0.5), Thing("key", "blue", 0.4, 0.8, 0.5))
    scenes = [Scene(pair, "white", "left of"), Scene(pair[::-1], "white", "right of")] * 2
    chances = chance_rates([*scenes, Scene(pair[:1])])
    # each related scene has three related others, one of them alike
    assert chances["relation"] == pytest.approx(1 / 3)


def test_intervals_are_over_prompts():
    prompts = torch.arange(8)
    right = prompts % 2 == 0
    alone, fourfold = Values(right, prompts), Values(right.repeat(4), prompts.repeat(4))
    one, four = aspect_of(alone, 0.1).rate, aspect_of(fourfold, 0.1).rate
    assert (four.low, four.high) == (one.low, one.high)
    nothing = difference(alone, alone)
    assert nothing.value == 0 and nothing.low < 0 < nothing.high


def test_an_aspect_of_no_pictures():
    none = Values(torch.zeros(0, dtype=torch.bool), torch.zeros(0, dtype=torch.long))
    assert (aspect_of(none, 0.1).pictures, aspect_of(none, 0.1).rate.value) == (0, 0)


def test_keys_on_disk(result, reader):
    content = to_json(result)
    assert content["splits"]["test"]["aspects"]["both"]["drawn"].keys() == {
        *("mean", "low", "high", "confidence", "resamples", "pictures", "chance")
    }
    assert content["splits"]["test"].keys() == {"prompts", "pictures", "nothing", "aspects", "R@1"}
    assert to_json(from_json(CompositionResult, content)) == content
    protocol = CompositionProtocol(
        prompt_seed=0,
        num_images=4,
        model=MODEL,
        judges=[CLIP],
        data={"val": DATA},
        reader=reader_protocol(reader),
        sampling={"seed": 1},
    )
    assert from_json(CompositionProtocol, to_json(protocol)) == protocol
    assert protocol.reader.kinds == sorted(KINDS)


def test_table(result, capsys):
    print_composition(result, "scenes")
    shown = capsys.readouterr().out
    (row,) = (line for line in shown.splitlines() if "both" in line)
    assert "100 (100-100)" in row and "50 (" in row and "+50 (" in row
    assert "unseen: 16 pictures of 4 prompts; nothing could be read in 50%" in shown
    assert "R@1 judge" in shown


def test_what_single_pictures_show_is_kept(result, spoilt):
    for split, of_split in result.splits.items():
        kept = result.per_item[split]
        assert len(kept.items) == of_split.prompts
        assert set(kept.owners) == set(spoilt[split].asked.prompts)
        for name, each in of_split.aspects.items():
            shown = [right for right in kept.values[name] if right is not None]
            assert sum(shown) / len(shown) == pytest.approx(each.drawn.rate.value)
        judged = kept.values["R@1 judge"]
        rate = of_split.recall_at_1["judge"].drawn.rate.value
        assert sum(judged) / len(judged) == pytest.approx(rate)


def test_an_aspect_that_does_not_apply_is_none(real):
    agreed = [None if k == 0 else True for k in range(len(real["val"].agreements))]
    agreements = [
        replace(each, relation=right)
        for each, right in zip(real["val"].agreements, agreed, strict=True)
    ]
    kept = by_prompt(replace(real["val"], agreements=agreements), ["relation"], {})
    assert kept.values["relation"] == agreed
