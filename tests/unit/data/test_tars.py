"""Shards of webdataset as a source: captions, splits, flaws, order, caches."""

from __future__ import annotations

import json
import os
import pickle
from itertools import chain

import numpy as np
import pytest
import torch

from tests.helpers.tars import member, png, write_tar
from textdiff.data import DataConfig, batches, open_data
from textdiff.data import tars as tars_source
from textdiff.data.open import open_as_it_is, source_kind
from textdiff.errors import DataError

COLOURS = ["red", "lime", "blue", "white", "black", "yellow"]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TEXTDIFF_CACHE", str(tmp_path / "cache"))


def samples(colours, start: int = 0) -> dict[str, bytes | str]:
    files: dict[str, bytes | str] = {}
    for index, colour in enumerate(colours, start):
        files |= {f"{index:04d}.png": png(colour), f"{index:04d}.txt": colour}
    return files


@pytest.fixture
def shards(tmp_path):
    """Two shards of three pictures."""
    write_tar(tmp_path / "shards" / "000.tar", samples(COLOURS[:3]))
    write_tar(tmp_path / "shards" / "001.tar", samples(COLOURS[3:], 3))
    return tmp_path / "shards"


def config_of(source, **config) -> DataConfig:
    return DataConfig(source=str(source), image_size=8, **config)


def opened(source, **config):
    return open_data(config_of(source, **config), "all")


def one(tmp_path, files, *others, **config):
    """All data of one shard with these members."""
    return open_as_it_is(config_of(write_tar(tmp_path / "a.tar", files, *others), **config))


@pytest.mark.parametrize("source", ["{000..001}.tar", "*.tar"])
def test_shards_in_order(shards, source):
    data = opened(shards / source)
    assert data.captions == [[colour] for colour in COLOURS]
    assert data.identifiers[2:4] == ["000.tar/0002.png", "001.tar/0003.png"]
    assert data.image(5)[:, 0, 0].tolist() == [255, 255, 0]
    assert data.original_size(0) == (12, 9)
    assert data.survey.used == {"shards": 2, "pictures": 6, "caption files": 6}
    assert data.survey.ignored == {} and data.survey.flaws == []


def test_json_and_txt(tmp_path):
    files = {
        "a.png": png("red"),
        "a.json": json.dumps({"caption": "red", "url": "x"}),
        "b.png": png("red"),
        "b.json": '{"captions": ["red", "all red"]}',
        "c.png": png("red"),
        "c.json": '{"caption": "rot", "en": "red"}',
        "c.txt": "rouge",
        "d.png": png("red"),
        "d.txt": "\ufeffred\n\ncrimson\r\n",
    }
    data = one(tmp_path, files)
    assert data.captions == [["red"], ["red", "all red"], ["rouge"], ["red", "crimson"]]
    only_c = {name: content for name, content in files.items() if name[0] == "c"}
    assert one(tmp_path, only_c, caption_column="en").captions == [["red"]]


def test_extensions_by_name(tmp_path):
    files = {"a.png": png("red"), "a.seg.png": png("blue"), "a.txt": "red", "a.cls": "1"}
    assert one(tmp_path, files).image(0)[:, 0, 0].tolist() == [255, 0, 0]
    data = one(tmp_path, files, image_column="seg.png")
    assert data.image(0)[:, 0, 0].tolist() == [0, 0, 255]
    assert data.survey.ignored == {
        "other kind of file": ["a.tar/a.cls"],
        "other picture of a key": ["a.tar/a.png"],
    }


def test_splits_by_json_then_folder_then_shard(tmp_path):
    files = {"a.png": png("red"), "a.txt": "red", "test/b.png": png("red"), "test/b.txt": "red"}
    stated = {"val/c.png": png("red"), "val/c.json": '{"text": "red", "split": "train"}'}
    write_tar(tmp_path / "s" / "train-0.tar", {**files, **stated})
    write_tar(tmp_path / "s" / "val" / "0.tar", files)
    config = config_of(tmp_path / "s" / "**" / "*.tar")
    names = {split: open_data(config, split).identifiers for split in ("train", "val", "test")}
    assert names == {
        "train": ["train-0.tar/a.png", "train-0.tar/val/c.png"],
        "val": ["val/0.tar/a.png"],
        "test": ["train-0.tar/test/b.png", "val/0.tar/test/b.png"],
    }


def test_no_shard_states_a_split(shards):
    config = config_of(shards / "*.tar", val_fraction=0.2)
    parts = [open_data(config, split).identifiers for split in ("train", "val", "test")]
    assert sorted(chain(*parts)) == opened(shards / "*.tar").identifiers
    assert all(parts)


FLAWED = [
    ({"a.txt": ""}, "no caption", "txt holds no caption"),
    ({}, "no caption", "give it a .txt or .json"),
    ({"a.txt": b"caf\xe9"}, "not UTF-8", "txt cannot be read as UTF-8"),
    ({"a.json": b'{"text": "\xe9"}'}, "not UTF-8", "not UTF-8 text"),
    ({"a.json": "{"}, "not JSON", "not valid JSON"),
    ({"a.json": "[1]"}, "not JSON", "needs an object"),
    ({"a.json": "[" * 10**5}, "not JSON", "too deep"),
    ({"a.json": '{"txet": "red"}'}, "missing column", "it has txet"),
    ({"a.json": '{"text": 3}'}, "no caption", "'text' must be a text or a list"),
    ({"a.json": '{"text": "a", "split": "x"}'}, "unknown split", "unknown split 'x'"),
    ({"a.txt": "x" * (2**20 + 1)}, "long text", "more than 1,048,576 bytes"),
    ({"a.jpg": png("red"), "a.txt": "red"}, "several pictures", "both png and jpg"),
]


@pytest.mark.parametrize(("texts", "reason", "detail"), FLAWED)
def test_a_flawed_sample_is_named_and_left_out(tmp_path, texts, reason, detail):
    data = one(tmp_path, {"a.png": png("red"), **texts, "b.png": png("red"), "b.txt": "red"})
    assert data.identifiers == ["a.tar/b.png"]
    (flaw,) = data.survey.flaws
    assert (flaw.where, flaw.reason) == ("a.tar/a", reason)
    assert detail in flaw.detail and len(str(flaw)) < 200


def test_links_and_devices_are_flaws(tmp_path):
    links = [
        member("b.png", kind=b"2", link="/etc/passwd"),
        member("c.png", kind=b"1", link="a.png"),
        member("d", kind=b"6"),
    ]
    data = one(tmp_path, {"a.png": png("red"), "a.txt": "red", "b.txt": "secret"}, *links[:2])
    assert [flaw.where for flaw in data.survey.flaws] == ["a.tar/b.png", "a.tar/c.png"]
    assert {flaw.reason for flaw in data.survey.flaws} == {"link in a tar"}
    assert data.survey.ignored == {"text without a picture": ["a.tar/b.txt"]}


def test_too_many_flaws_stop(tmp_path):
    path = write_tar(tmp_path / "a.tar", {**samples(COLOURS), "x.png": png("red")})
    with pytest.raises(DataError, match=r"1 of 7 rows and files .* a\.tar/x: no caption"):
        opened(path)
    assert len(opened(path, max_bad_fraction=0.2)) == 6


def test_bad_pictures_are_counted_and_replaced(tmp_path):
    files = {**samples(COLOURS), "0001.png": b"no image", "0004.png": png("red")[:50]}
    data = one(tmp_path, files, max_bad_fraction=0.5)
    assert data.read([1, 4])[0] == [2, 5]
    assert data.bad[1].startswith("not an image") and set(data.bad) == {1, 4}


def test_a_member_too_large_for_any_picture_is_not_read(tmp_path, monkeypatch):
    data = one(tmp_path, samples(COLOURS), max_pixels=100, max_bad_fraction=1.0)
    monkeypatch.setattr(tars_source, "ROOM", -800)
    monkeypatch.setattr(tars_source.Shard, "read", lambda *_: 1 / 0)
    with pytest.raises(DataError, match="too many bytes"):
        data.image(0)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("pipe:cat a.tar", "no commands and no addresses"),
        ("https://host/{0..9}.tar", "download the shards"),
        ("a.tar::b.tar", "no commands and no addresses"),
        ("shards/{000..003}.tar.gz", "is compressed .* decompress it to a plain .tar"),
        ("a.tgz", "is compressed"),
        ("none/*.tar", r"no tar file matches none/\*\.tar"),
    ],
)
def test_sources_that_are_refused(source, message):
    assert source_kind(DataConfig(source=source)) == "tars"
    with pytest.raises(DataError, match=message):
        opened(source)


def test_a_shard_that_is_cut_off_stops_with_its_name(shards):
    os.truncate(shards / "001.tar", 1000)
    with pytest.raises(DataError, match=r"001\.tar is cut off: .* the file has 1,000"):
        opened(shards / "*.tar")


def test_no_pictures(tmp_path):
    path = write_tar(tmp_path / "a.tar", {"a.npy": "x", "a.txt": "red"})
    with pytest.raises(DataError, match=r"a\.tar holds no images; known kinds: .*jpg"):
        opened(path)


def test_a_folder_of_tars_says_how_to_name_them(shards):
    with pytest.raises(DataError, match=r"for its tar files give '.*/\*\*/\*\.tar'"):
        opened(shards)


def test_max_images_and_workers_copy(shards):
    data = opened(shards / "*.tar", max_images=4)
    assert len(data) == 4 and set(data.identifiers) < set(opened(shards / "*.tar").identifiers)
    copy = pickle.loads(pickle.dumps(data))
    assert torch.equal(copy.images(range(4)), data.images(range(4)))


def test_batches_resume_at_any_step(shards):
    options = {"seed": 0, "batch_size": 4}
    whole = batches(opened(shards / "*.tar"), **options)
    expected = [next(whole)[0] for _ in range(5)][3]
    (found,) = next(batches(opened(shards / "*.tar"), start_step=3, **options))
    assert found.captions == expected.captions and torch.equal(found.image, expected.image)


def test_resized_pixels_are_cached_until_a_shard_changes(shards, monkeypatch):
    config = config_of(shards / "*.tar")
    expected = open_data(config, "all").images(range(6))
    first = open_data(config, "all").cache_pixels()
    with monkeypatch.context() as patch:
        patch.setattr(tars_source, "decode_image", lambda *_: 1 / 0)
        again = open_data(config, "all")
        assert again.cache_pixels() == first
        assert torch.equal(again.images(range(6)), expected)
    os.utime(shards / "001.tar", ns=(1, 1))
    assert open_data(config, "all").cache_pixels() != first


def test_the_same_as_webdataset_reads(shards):
    wds = pytest.importorskip("webdataset")
    write_tar(shards / "002.tar", {"x/a.b.png": png("red"), "x/a.txt": "red", **samples(["blue"])})
    source = str(shards / "{000..002}.tar")
    read = wds.WebDataset(source, shardshuffle=False).decode("rgb8")
    pairs = [(s["txt"], s["png"]) for s in read if "png" in s and "txt" in s]
    data = opened(source, max_bad_fraction=0.5)
    assert [texts for (texts,) in data.captions] == [text for text, _ in pairs]
    for index, (_, pixels) in enumerate(pairs):  # of one colour each, so that resizing is not seen
        assert np.array_equal(data.image(index)[:, 0, 0].numpy(), pixels[0, 0])


def test_labels_from_cls_or_json(tmp_path):
    """As CLIP_benchmark's shards have them, which hold no captions."""
    files = {"a.png": png("red"), "a.cls": "7", "b.png": png("red"), "b.cls": "0"}
    data = one(tmp_path, files, label_column="cls", need_captions=False)
    assert (data.labels, data.captions) == (["7", "0"], [[""], [""]])
    assert data.survey.used["caption files"] == 2
    files = {"a.png": png("red"), "a.json": '{"text": "red", "kind": "cat"}'}
    assert one(tmp_path, files, label_column="kind").labels == ["cat"]
