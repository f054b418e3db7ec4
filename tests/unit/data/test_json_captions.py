"""What all sources with one file of captions have in common."""

from __future__ import annotations

import os
import pickle

import pytest
import torch

from tests.helpers.published import coco_content, coco_name, write_coco, write_json
from textdiff.data import DataConfig, open_data
from textdiff.data.json_captions import JsonCaptions, Row
from textdiff.data.open import open_as_it_is
from textdiff.errors import DataError

FILE = "annotations/captions_val2014.json"


@pytest.fixture
def root(tmp_path):
    return write_coco(tmp_path / "coco")


def config_of(root, **config) -> DataConfig:
    return DataConfig(source=str(root), kind="coco", image_size=8, **config)


def reasons(config) -> list[str]:
    return [flaw.reason for flaw in open_as_it_is(config).survey.flaws]


@pytest.mark.parametrize("name", ["../../secret.jpg", "a\0.jpg", "\udce9.jpg"])
def test_names_that_lead_elsewhere_are_refused(root, name):
    content = coco_content(range(6))
    content["images"][0]["file_name"] = name
    (root.parent / "secret.jpg").write_bytes(b"")
    write_json(root / FILE, content)
    (reason,) = reasons(config_of(root))
    assert reason in ("file outside the folder", "missing file")


def test_links_out_of_the_folder(root, tmp_path):
    link = root / "val2014" / coco_name(0)
    link.rename(tmp_path / "elsewhere.jpg")
    link.symlink_to(tmp_path / "elsewhere.jpg")
    assert reasons(config_of(root)) == ["file outside the folder"]
    assert len(open_data(config_of(root, outside_files=True), "all")) == 6


def test_a_folder_that_is_a_link(root, tmp_path):
    (root / "val2014").rename(tmp_path / "pictures")
    (root / "val2014").symlink_to(tmp_path / "pictures")
    with pytest.raises(DataError, match=r"6 of 6 .* --data.outside-files true allows it"):
        open_data(config_of(root), "all")
    assert len(open_data(config_of(root, outside_files=True), "all")) == 6


def test_order_is_that_of_the_file(root):
    write_json(root / FILE, coco_content([4, 0, 2]))
    assert open_data(config_of(root), "all").identifiers == [
        f"val2014/{coco_name(number)}" for number in (4, 0, 2)
    ]


def test_version_changes_with_a_picture(root):
    before = open_data(config_of(root), "all").version
    assert open_data(config_of(root), "all").version == before
    os.utime(root / "val2014" / coco_name(3), (1, 1))
    assert open_data(config_of(root), "all").version != before


def test_it_travels_to_workers(root):
    row = Row(f"val2014/{coco_name(1)}", ("a",), None)
    source = JsonCaptions(config_of(root), root / FILE, [row])
    assert torch.equal(pickle.loads(pickle.dumps(source)).read(0), source.read(0))


def test_labels_are_not_in_the_file(root):
    with pytest.raises(DataError, match="has no labels; leave label_column out"):
        open_data(config_of(root, label_column="cls"), "all")


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"[", "is not valid JSON"),
        (b"\xff\xfe", "is not valid JSON"),
        (b"[" * 100_000, "is not valid JSON"),
        (b"[]", "holds no object; it should be COCO's captions"),
        (b"{}", "has no list 'images'"),
    ],
)
def test_what_is_no_file_of_captions(root, content, cause):
    (root / FILE).write_bytes(content)
    with pytest.raises(DataError, match=cause) as caught:
        open_data(config_of(root), "all")
    assert "\n" not in str(caught.value)


def test_nothing_but_training_pictures_that_are_not_here(root):
    rows = [Row("train2014/a.jpg", ("a",), "train")]
    with pytest.raises(DataError, match=r"train2014 does not exist; .* such as a\.jpg"):
        JsonCaptions(config_of(root), root / FILE, rows)
