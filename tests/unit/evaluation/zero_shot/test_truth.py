"""What says which class is right, in every form of data."""

from __future__ import annotations

import json

import pytest

from tests.helpers.class_folders import write_class_folders
from tests.helpers.shapes import COLOURS
from tests.helpers.small_scenes import KINDS, small_scenes
from textdiff.data import CaptionedImages, DataConfig, open_data
from textdiff.errors import DataError, UsageError
from textdiff.evaluation.zero_shot.prompts import choose_prompts
from textdiff.evaluation.zero_shot.truth import truth_of


def opened(root, **changes) -> CaptionedImages:
    changes = {"image_size": 16, "need_captions": False, **changes}
    return open_data(DataConfig(source=str(root), **changes), "all")


@pytest.fixture
def folders(tmp_path) -> CaptionedImages:
    return opened(write_class_folders(tmp_path / "data"))


@pytest.fixture
def listed(tmp_path):
    def write(*lines: str) -> str:
        (tmp_path / "classes.txt").write_text("\n".join(lines))
        return str(tmp_path / "classes.txt")

    return write


def named(truth, data) -> list[tuple[str, str]]:
    """(folder, class) of each picture."""
    pairs = zip(data.identifiers, truth.labels.tolist(), strict=True)
    return [(name.split("/")[-2], truth.classes.names[label]) for name, label in pairs]


def test_folders_are_found_where_they_are_classes(folders, listed):
    truth = truth_of(folders, "auto", listed("yellow", "blue", "green", "red", "black"))
    assert truth.kind == "folder"
    assert all(folder == name for folder, name in named(truth, folders))


def test_folders_name_the_classes_where_nothing_else_does(folders):
    truth = truth_of(folders, "auto", None)
    assert truth.classes.names == tuple(sorted(COLOURS))
    assert all(folder == name for folder, name in named(truth, folders))


def test_folders_that_are_no_classes_are_no_truth(folders, listed):
    truth = truth_of(folders, "auto", listed("cat", "dog"))
    assert (truth.kind, truth.labels) == ("none", None)
    assert truth_of(folders, "none", listed("red", "dog")).labels is None


NUMBERS = {"red": "3", "green": "0", "blue": "2", "yellow": "1"}


def test_numbered_folders_must_be_asked_for(tmp_path, listed):
    """0, 1, 2 may be shards as well as classes."""
    data = opened(write_class_folders(tmp_path / "data", ids=NUMBERS))
    classes = listed(*sorted(NUMBERS, key=lambda name: NUMBERS[name]))
    for source in (classes, None):
        with pytest.raises(UsageError, match=r"are numbers, as '0', .* give --truth folder if"):
            truth_of(data, "auto", source)
    assert truth_of(data, "none", classes).labels is None
    truth = truth_of(data, "folder", classes)
    assert all(NUMBERS[name] == folder for folder, name in named(truth, data))


def test_a_number_beside_names_is_no_class(tmp_path, listed):
    ids = {**{colour: colour for colour in COLOURS}, "blue": "2"}
    data = opened(write_class_folders(tmp_path / "data", ids=ids))
    with pytest.raises(DataError, match="'2' is no class of"):
        truth_of(data, "auto", listed(*COLOURS))
    assert truth_of(data, "folder", listed(*COLOURS)).labels is not None


def test_numbers_that_are_ids_are_found(tmp_path, listed):
    data = opened(write_class_folders(tmp_path / "data", ids=NUMBERS))
    truth = truth_of(data, "auto", listed(*(f"{own}\t{name}" for name, own in NUMBERS.items())))
    assert truth.kind == "folder"
    assert all(NUMBERS[name] == folder for folder, name in named(truth, data))


def test_a_folder_that_is_no_class_among_others_that_are(folders, listed):
    with pytest.raises(DataError, match=r"blue/circle.png: 'blue' is no class of .*nor are 1 oth"):
        truth_of(folders, "auto", listed("red", "yellow"))


def test_a_picture_outside_of_the_folders(tmp_path, listed):
    root = write_class_folders(tmp_path / "data")
    (root / "red" / "circle.png").rename(root / "circle.png")
    with pytest.raises(DataError, match=r"circle.png lies in no folder that could be its class"):
        truth_of(opened(root), "folder", listed(*COLOURS))
    with pytest.raises(UsageError, match="which classes"):
        truth_of(opened(root), "auto", None)


IDS = {"red": "n03", "green": "n01", "blue": "n04", "yellow": "n02"}


def test_ids_of_folders(tmp_path, listed):
    data = opened(write_class_folders(tmp_path / "data", ids=IDS))
    truth = truth_of(data, "auto", listed(*(f"{own}\t{name}" for name, own in IDS.items())))
    assert all(IDS[name] == folder for folder, name in named(truth, data))


def test_sorted_folders_are_the_classes_in_order(tmp_path, listed):
    data = opened(write_class_folders(tmp_path / "data", ids=IDS))
    in_order = sorted(IDS, key=lambda name: IDS[name])
    truth = truth_of(data, "sorted-folders", listed(*in_order))
    assert all(IDS[name] == folder for folder, name in named(truth, data))
    assert truth.classes.ids == ("n01", "n02", "n03", "n04")


@pytest.mark.parametrize("classes", ["imagenet", None])
def test_sorted_folders_of_another_number(folders, classes, listed):
    message = r"4 class folders, from 'blue' to 'yellow', for the (1000|3) classes of "
    with pytest.raises(DataError, match=message):
        truth_of(folders, "sorted-folders", classes or listed("a", "b", "c"))
    with pytest.raises(UsageError, match="needs --classes"):
        truth_of(folders, "sorted-folders", None)


def test_a_column_of_labels(shapes, tmp_path, listed):
    rows = [json.loads(line) for line in (shapes / "metadata.jsonl").read_text().splitlines()]
    for row in rows:
        (tmp_path / row["file_name"]).write_bytes((shapes / row["file_name"]).read_bytes())
        row["shape"] = row.pop("text").split()[1]
    (tmp_path / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    data = opened(tmp_path, label_column="shape")
    truth = truth_of(data, "auto", None)
    assert (truth.kind, len(truth.classes)) == ("label", 4)
    spelled = [f"-{truth.classes.names[label]}.png" for label in truth.labels.tolist()]
    assert all(map(str.endswith, data.identifiers, spelled))
    with pytest.raises(DataError, match=r"blue-circle.png: 'circle' is no class"):
        truth_of(data, "label", listed("cross", "square"))


def test_facts_of_scenes(tmp_path):
    data = open_data(small_scenes(tmp_path), "test")
    colour, kind = truth_of(data, "colour", None), truth_of(data, "object", None)
    assert (len(colour.classes), set(kind.classes.names)) == (11, set(KINDS))
    for captions, c, k in zip(data.captions, colour.labels, kind.labels, strict=True):
        assert f"{colour.classes.names[c]} {kind.classes.names[k]}" in captions[0]
    prompts = choose_prompts(None, colour, data)
    assert "an orange star" in prompts.texts[colour.classes.names.index("orange")]
    assert choose_prompts("plain", colour, data).templates == ("a photo of a {}.",)
    with pytest.raises(UsageError, match="on scenes --truth colour or object"):
        truth_of(data, "auto", None)


def test_scenes_of_two_things_have_no_single_colour(tmp_path):
    data = open_data(small_scenes(tmp_path, level="relations"), "test")
    with pytest.raises(DataError, match=r"shows things of two kinds.*--data.level pairs"):
        truth_of(data, "colour", None)


@pytest.mark.parametrize(
    ("kind", "message"),
    [("colour", "pictures without facts"), ("label", "no labels that --data.label-column")],
)
def test_what_the_data_do_not_say(folders, kind, message):
    with pytest.raises(DataError, match=message):
        truth_of(folders, kind, None)
