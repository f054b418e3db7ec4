"""COCO's captions in their layout, and what can be wrong with the file."""

from __future__ import annotations

import shutil

import pytest

from tests.helpers.published import captions_of, coco_content, coco_name, write_coco, write_json
from textdiff.data import DataConfig, open_data
from textdiff.data.open import open_as_it_is
from textdiff.errors import DataError

FILE = "annotations/captions_val2014.json"


@pytest.fixture
def root(tmp_path):
    return write_coco(tmp_path / "coco")


def config_of(root, **config) -> DataConfig:
    return DataConfig(source=str(root), kind="coco", image_size=8, **config)


def error_of(root, **config) -> str:
    with pytest.raises(DataError) as caught:
        open_data(config_of(root, **config), "all")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def changed(root, **lists):
    write_json(root / FILE, {**coco_content(range(6)), **lists})
    return root


def flaws(root) -> list[str]:
    return [str(flaw) for flaw in open_as_it_is(config_of(root)).survey.flaws]


def test_pictures_captions_and_split(root):
    data = open_data(config_of(root), "val")
    assert data.identifiers == [f"val2014/{coco_name(number)}" for number in range(6)]
    assert data.captions == [captions_of(number) for number in range(6)]
    assert data.image(1).shape == (3, 8, 8)
    assert data.original_size(0) == (20, 16)
    assert data.all_stated and data.stated_splits == {"val"}
    assert data.survey.used == {"pictures": 6, "caption files": 1}


def test_the_training_file_of_another_year(tmp_path):
    write_coco(tmp_path, range(4), "train2017")
    named = config_of(tmp_path, annotations="annotations/captions_train2017.json")
    data = open_data(named, "all")
    assert data.identifiers[0] == f"train2017/{coco_name(0, 'train2017')}"
    assert data.stated_splits == {"train"}


def test_no_folder_and_another_layout(tmp_path):
    expected = f"kind coco reads {FILE} and the pictures in val2014/"
    assert error_of(tmp_path / "no") == f"{tmp_path / 'no'} is no folder; {expected}"
    assert error_of(tmp_path) == f"{tmp_path} has no {FILE}; {expected}"
    message = error_of(tmp_path, annotations="captions.json")
    assert message == f"{tmp_path} has no captions.json; {expected}"


def test_no_folder_of_pictures(root):
    shutil.rmtree(root / "val2014")
    assert error_of(root) == (
        f"{root / 'val2014'} does not exist; {root / FILE} names pictures there, such as "
        f"{coco_name(0)}"
    )


def test_another_file_of_coco(root):
    write_json(root / FILE, {"images": [], "info": {}})
    assert "has no list 'annotations'; it should be COCO's captions: {'images'" in error_of(root)


def test_a_caption_of_an_absent_picture(root):
    extra = {"image_id": 77, "caption": "no one sees it"}
    changed(root, annotations=[*coco_content(range(6))["annotations"], extra])
    where = f"{root / FILE}, annotations[30]"
    assert flaws(root) == [f"{where}: image_id 77 is that of none of its images"]
    assert f"1 of 7 rows and files cannot be used, more than max_bad_fraction = 0.01: {where}" in (
        error_of(root)
    )


def test_a_picture_without_captions(root):
    captions = coco_content(range(6))["annotations"]
    changed(root, annotations=[each for each in captions if each["image_id"] != 3])
    name = f"val2014/{coco_name(3)}"
    assert flaws(root) == [f"{root / FILE}, {name}: a picture without captions"]
    pictures = open_data(config_of(root, need_captions=False), "all")
    assert pictures.captions[3] == [""]


def test_an_empty_caption_is_none(root):
    captions = coco_content(range(6))["annotations"]
    captions[0]["caption"] = " \n"
    changed(root, annotations=captions)
    assert open_data(config_of(root), "all").captions[0] == captions_of(0)[1:]


def test_a_picture_that_is_not_there(root):
    (root / "val2014" / coco_name(2)).unlink()
    where = f"{root / FILE}, val2014/{coco_name(2)}"
    assert flaws(root) == [f"{where}: no such picture in {root}"]


@pytest.mark.parametrize(
    ("lists", "cause"),
    [
        ({"images": [7]}, "images[0]: needs a number under 'id'"),
        ({"images": [{"id": [1]}]}, "images[0]: needs a number under 'id'"),
        ({"images": [{"id": 1}]}, "images[0]: needs the name of a picture under 'file_name'"),
        ({"annotations": ["a cat"]}, "annotations[0]: needs a number under 'image_id'"),
        ({"annotations": [{"image_id": 1}]}, "annotations[0]: needs a text under 'caption'"),
        (
            {"annotations": [{"image_id": 1, "caption": "\udc80"}]},
            "annotations[0]: 'caption' is not UTF-8 text",
        ),
    ],
)
def test_broken_entries_have_their_place(root, lists, cause):
    assert flaws(changed(root, **lists))[0] == f"{root / FILE}, {cause}"


def test_a_picture_that_is_listed_twice(root):
    images = coco_content(range(6))["images"]
    changed(root, images=[*images, images[0], {**images[0], "id": 99}])
    assert [flaw.split(": ", 1)[1] for flaw in flaws(root)] == [
        f"id 0 is that of {coco_name(0)} already",
        "listed twice; leave one out",
    ]
