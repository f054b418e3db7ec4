"""Karpathy's splits in their layouts."""

from __future__ import annotations

import shutil

import pytest

from tests.helpers.published import (
    COCO_SPLITS,
    captions_of,
    karpathy_images,
    write_json,
    write_karpathy_coco,
    write_karpathy_flickr,
)
from textdiff.data import DataConfig, open_data
from textdiff.data.json_captions import ABSENT
from textdiff.data.open import open_as_it_is
from textdiff.errors import DataError


def config_of(root, **config) -> DataConfig:
    return DataConfig(source=str(root), kind="karpathy", image_size=8, **config)


def error_of(root, **config) -> str:
    with pytest.raises(DataError) as caught:
        open_data(config_of(root, **config), "test")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_splits_of_coco(tmp_path):
    write_karpathy_coco(tmp_path, train=True)
    found = {
        split: len(open_data(config_of(tmp_path), split)) for split in ("train", "val", "test")
    }
    assert found == {"train": 2, "val": 1, "test": 3}  # restval is trained on
    test = open_data(config_of(tmp_path, max_captions=5), "test")
    assert test.captions == [captions_of(number) for number in (2, 3, 5)]
    assert open_data(config_of(tmp_path), "test").captions[0] == captions_of(2, 6)
    assert test.image(0).shape == (3, 8, 8)


def test_training_pictures_may_be_missing_and_are_counted(tmp_path):
    data = open_data(config_of(write_karpathy_coco(tmp_path), max_bad_fraction=0), "test")
    assert (len(data), data.num_in_source) == (3, 5)
    (left_out,) = data.survey.ignored[ABSENT]
    assert left_out.startswith("train2014/")


def test_flickr30k_has_one_folder(tmp_path):
    test = open_data(config_of(write_karpathy_flickr(tmp_path)), "test")
    assert test.identifiers == [f"flickr30k-images/{1000092795 + k}.jpg" for k in (1, 3, 4)]
    assert test.captions[0] == captions_of(1)


def test_two_files_are_two_data_sets(tmp_path):
    write_karpathy_flickr(write_karpathy_coco(tmp_path))
    assert error_of(tmp_path) == (
        f"{tmp_path} has dataset_coco.json and dataset_flickr30k.json; name one with "
        "--data.annotations"
    )
    named = config_of(tmp_path, annotations="dataset_flickr30k.json")
    assert len(open_data(named, "test")) == 3


def test_another_layout(tmp_path):
    assert error_of(tmp_path) == (
        f"{tmp_path} has no dataset_coco.json and no dataset_flickr30k.json; kind karpathy reads "
        "dataset_coco.json with the pictures in train2014/ and val2014/, or dataset_flickr30k.json "
        "with those in flickr30k-images/"
    )


@pytest.mark.parametrize(
    ("write", "folder", "file"),
    [
        (write_karpathy_coco, "val2014", "dataset_coco.json"),
        (write_karpathy_flickr, "flickr30k-images", "dataset_flickr30k.json"),
    ],
)
def test_pictures_that_are_tested_on_are_needed(tmp_path, write, folder, file):
    shutil.rmtree(write(tmp_path) / folder)
    expected = (
        f"{tmp_path / folder} does not exist; {tmp_path / file} names pictures there, such as "
    )
    assert error_of(tmp_path).startswith(expected)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"filename": ""}, "needs the name of a picture under 'filename'"),
        ({"split": "dev"}, "unknown split 'dev'; known: train, restval, val, test"),
        ({"split": ["test"]}, "unknown split ['test']; known: train, restval, val, test"),
        ({"sentences": None}, "needs a list under 'sentences'"),
        ({"sentences": [{"tokens": []}]}, "needs a text under 'raw'"),
    ],
)
def test_broken_images_have_their_place(tmp_path, change, cause):
    write_karpathy_coco(tmp_path)
    images = karpathy_images(COCO_SPLITS)
    images[2] |= change
    file = write_json(tmp_path / "dataset_coco.json", {"images": images})
    (flaw,) = open_as_it_is(config_of(tmp_path)).survey.flaws
    assert str(flaw) == f"{file}, images[2]: {cause}"


def test_a_file_that_does_not_say_where_its_pictures_are(tmp_path):
    write_json(tmp_path / "dataset_coco.json", {"images": [{"filename": "a.jpg"}]})
    assert "images[0] has no 'filepath', and its 'dataset' is none whose folder is known" in (
        error_of(tmp_path)
    )
