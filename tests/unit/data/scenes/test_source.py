"""The source `scenes`: splits, facts beside captions, cache, copies, workers, bad input."""

import itertools
import json
import pickle
import subprocess
import sys

import pytest
import torch

from tests.helpers.paths import ROOT
from textdiff.data import DataConfig, batches, open_data
from textdiff.data.scenes.facts import Scene
from textdiff.data.scenes.render import render
from textdiff.data.scenes.source import Scenes
from textdiff.data.scenes.sprites import Sprites
from textdiff.errors import UsageError

PAIRS, UNSEEN = 33, 4  # of three kinds


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    cache = str(tmp_path_factory.mktemp("cache"))
    return DataConfig(source="scenes", image_size=24, objects=3, scenes=40, cache_dir=cache)


def test_splits_captions_and_facts(config):
    data = open_data(config, "all")
    counts = {split: data.splits.count(split) for split in ("train", "val", "test")}
    assert counts == {"train": 40, "val": PAIRS - UNSEEN, "test": 4 * UNSEEN}
    assert len(data.scenes) == len(data) and len(set(data.identifiers)) == len(data)
    assert len(data.combinations.unseen_pairs) == UNSEEN
    for scene, texts in zip(data.scenes, data.captions, strict=True):
        (group,) = scene.groups
        assert texts[0].endswith(f" {group.colour} {group.kind}") and len(texts) == 4
    assert "OpenMoji" in data.attribution and "recoloured, composed" in data.attribution
    assert "CC BY-SA 4.0" in data.attribution


def test_large_things_in_one_wording(config):
    chosen = config.model_copy(update={"placing": "large", "wordings": 1})
    data = open_data(chosen, "all")
    assert {scene.things[0].size for scene in data.scenes} == {15 / 16}
    assert len({(scene.things[0].x, scene.things[0].y) for scene in data.scenes}) == 9
    assert {len(texts) for texts in data.captions} == {1}
    assert all(texts[0].startswith(("a ", "an ")) for texts in data.captions)


def test_pictures_are_those_of_the_facts(config):
    data, sprites = open_data(config, "test"), Sprites(24)
    for index in range(len(data)):
        expected = torch.from_numpy(render(data.scenes[index], sprites))
        assert torch.equal(data.image(index), expected)


def test_the_cache_keeps_facts_as_json(config):
    data = open_data(config, "all")
    files = [
        rows
        for path in sorted((ROOT / config.cache_dir).glob("scenes-*/metadata.jsonl"))
        if len(rows := path.read_text("utf-8").splitlines()) == len(data)
    ]
    rows = [json.loads(line) for line in files[0]]
    assert [row["identifier"] for row in rows] == data.identifiers
    assert [Scene.from_json(row["facts"]) for row in rows] == data.scenes
    assert [row["captions"] for row in rows] == data.captions


def test_other_data_have_no_facts(tmp_path):
    data = open_data(DataConfig(image_size=24, max_images=3, cache_dir=str(tmp_path)), "all")
    assert data.scenes is None and data.combinations is None


@pytest.mark.parametrize(
    "change",
    [{"seed": 1}, {"held_out": 0.2}, {"level": "counts"}, {"object_names": ["pig", "star"]}],
)
def test_what_changes_the_data_changes_the_fingerprint(config, change):
    assert open_data(config.model_copy(update=change)).fingerprint != open_data(config).fingerprint


def test_the_first_scenes_of_more_are_the_same(config):
    more = open_data(config.model_copy(update={"scenes": 60}))
    assert more.scenes[:40] == open_data(config).scenes


def test_workers_get_a_small_copy_that_reads_the_same(config):
    source = Scenes(config)
    copy = pickle.loads(pickle.dumps(source))
    assert torch.equal(copy.read(3), source.read(3))
    assert len(pickle.dumps(source)) < 40_000


@pytest.mark.slow
def test_the_same_batches_with_workers_and_ranks(config):
    data = open_data(config)
    (whole,) = next(batches(data, seed=0, batch_size=4))
    (worked,) = next(batches(data, seed=0, batch_size=4, workers=1))
    halves = [next(batches(data, seed=0, batch_size=2, rank=r, world_size=2))[0] for r in (0, 1)]
    for other in (worked.image, torch.cat([half.image for half in halves])):
        assert torch.equal(whole.image, other)


@pytest.mark.slow
def test_two_processes_draw_the_same_at_once(config, tmp_path):
    """Into one empty cache, which both find whole."""
    settings = config.model_dump() | {"cache_dir": str(tmp_path)}
    code = (
        "from textdiff.data import DataConfig, open_data\n"
        f"data = open_data(DataConfig(**{settings!r}))\n"
        "import hashlib\n"
        "print(data.fingerprint, hashlib.sha256(data.images(range(40)).numpy()).hexdigest())"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        for _ in range(2)
    ]
    one, other = (process.communicate(timeout=300)[0] for process in started)
    assert one == other and one.startswith(open_data(config).fingerprint)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_size": 16}, "data.image_size 16: .* below 24 pixels; give 24 or more"),
        ({"objects": 5000}, "data.objects 5000: there are"),
        ({"object_names": ["aple"]}, "no object 'aple'; did you mean 'apple'"),
        ({"held_out": 0.95}, "data.held_out 0.95 with 3 objects"),
        ({"scenes": 10}, "data.scenes 10 cannot show each of the 29"),
        ({"max_images": 5}, "data.max_images does not choose among scenes"),
    ],
)
def test_settings_that_cannot_be_used(config, change, message):
    with pytest.raises(UsageError, match=message):
        open_data(config.model_copy(update=change))


def test_a_missing_package_is_named(config, monkeypatch):
    monkeypatch.setattr("textdiff.errors.missing_packages", lambda extra: ["resvg-py"])
    with pytest.raises(UsageError, match="'scenes' needs the package resvg-py: pip install"):
        open_data(config)


def test_a_scene_and_its_converse_come_in_one_batch(config):
    related = {"level": "relations", "wordings": 1, "scenes": 80, "converse": True}
    data = open_data(config.model_copy(update=related), "train")
    for (batch,) in itertools.islice(batches(data, seed=0, batch_size=16), 5):
        ids = batch.sample_ids.tolist()
        assert [index // 2 for index in ids[::2]] == [index // 2 for index in ids[1::2]]
        scenes = [data.scenes[index] for index in ids]
        assert all(a.groups == b.groups for a, b in zip(scenes[::2], scenes[1::2], strict=True))


def test_scenes_with_their_converse_are_twice_as_many(config):
    related = {"level": "relations", "scenes": 57, "converse": True}
    with pytest.raises(UsageError, match=r"data\.scenes 57 cannot show.*give 58 or more"):
        open_data(config.model_copy(update=related), "train")
