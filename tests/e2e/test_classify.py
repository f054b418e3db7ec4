"""`textdiff classify` as a command: tables, JSON, predictions, and what it refuses in one line.

What it measures is tested in tests/unit/evaluation/zero_shot.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.class_folders import write_class_folders
from tests.helpers.command import settings_of
from tests.helpers.shapes import COLOURS, draw_shape
from tests.helpers.small_scenes import KINDS
from textdiff.clip import ClipModel
from textdiff.commands import cli
from textdiff.evaluation.zero_shot import truth as module
from textdiff.evaluation.zero_shot.classes import read_classes

PIXELS = ["--data.min-side", "4"]


@pytest.fixture
def folders(tmp_path) -> Path:
    return write_class_folders(tmp_path / "data")


@pytest.fixture
def classify(tiny_clip, tmp_path):
    """Runs it; gives its JSON and the lines of its predictions."""

    def result(*flags: str | Path) -> tuple[dict, list[dict]]:
        out, lines = tmp_path / "new" / "out.json", tmp_path / "new" / "lines.jsonl"
        command = ["classify", "--clip", tiny_clip, *PIXELS, "--json", out, "--predictions", lines]
        cli.run([str(argument) for argument in [*command, *flags]])
        return json.loads(out.read_text()), list(map(json.loads, lines.read_text().splitlines()))

    return result


@pytest.fixture
def fails(tiny_clip, capsys, tmp_path):
    """Its error of one line; nothing is written."""

    def message(code: int, *flags: str | Path, quiet: bool = True) -> str:
        command = ["classify", "--clip", tiny_clip, *PIXELS, "--json", tmp_path / "out.json"]
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in [*command, *flags]])
        shown = capsys.readouterr().err.strip().splitlines()
        assert ended.value.code == code, shown
        assert len(shown) == 1 or not quiet, shown
        assert not (tmp_path / "out.json").exists()
        return shown[-1].removeprefix("textdiff: error: ")

    return message


def written(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines))
    return path


def test_folders_by_id_with_own_templates(classify, tiny_clip, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    ids = {name: f"n{k}" for k, name in enumerate(COLOURS)}
    data = write_class_folders(tmp_path / "data", ids=ids)
    classes = written(tmp_path / "a.txt", *(f"{own}\t{name}" for name, own in ids.items()), "black")
    templates = written(tmp_path / "t.txt", "a {} circle", "{} cross")
    picture = tmp_path / "new" / "confusion.png"
    flags = ["--data", data, "--classes", classes, "--templates", templates]
    found, lines = classify(*flags, "--confusion", picture, "--top", "2")
    assert found["truth"] == "folder"
    assert found["prompts"]["templates"] == ["a {} circle", "{} cross"]
    assert found["classes"]["fingerprint"] == read_classes(str(classes)).fingerprint
    assert found["data"]["images"] == found["pictures"] == len(lines)
    assert found["clip"]["weights"] == ClipModel.load(tiny_clip).weights_hash()
    right = [line["rank"] == 1 for line in lines]
    assert found["results"]["top-1"]["mean"] == pytest.approx(sum(right) / len(right))
    assert found["results"]["top-1"]["chance"] == pytest.approx(1 / 5)
    assert all(ids[line["truth"]] == line["picture"].split("/")[0] for line in lines)
    assert all(len(line["classes"]) == 2 for line in lines)
    assert {each["id"] for each in found["by_class"]} == {
        line["picture"].split("/")[0] for line in lines
    }
    shown = capsys.readouterr().out
    assert "Zero-shot among 5 classes, truth by folder" in " ".join(shown.split())
    with Image.open(picture) as drawn:
        assert drawn.format == "PNG"


def test_without_truth_the_best_classes_are_shown(classify, shapes, tmp_path, capsys):
    classes = written(tmp_path / "a.txt", "red", "blue", "green")
    found, lines = classify("--data", shapes, "--classes", classes, "--split", "all", "--top", "1")
    assert found["truth"] == "none" and "results" not in found
    assert sum(found["first"].values()) == found["pictures"] == len(lines) == 16
    assert {line["truth"] for line in lines} == {None}
    shown = capsys.readouterr().out
    assert all(f"{line['classes'][0]} {line['probabilities'][0]:.0%}" in shown for line in lines)


def test_a_column_of_labels(classify, folders):
    rows = [
        {"file_name": str(path.relative_to(folders)), "kind": path.stem}
        for path in sorted(folders.rglob("*.png"))
    ]
    written(folders / "metadata.jsonl", *map(json.dumps, rows))
    found, lines = classify("--data", folders, "--data.label-column", "kind", "--split", "all")
    assert (found["truth"], found["classes"]["number"], found["pictures"]) == ("label", 4, 16)
    assert all(Path(line["picture"]).stem == line["truth"] for line in lines)


def test_colours_of_scenes(classify, tmp_path):
    scenes = ["--data", "scenes", "--data.level", "pairs", "--data.object-names", *KINDS]
    scenes += ["--data.scenes", "33", "--data.image-size", "24", "--data.cache-dir", tmp_path]
    found, _ = classify(*scenes, "--truth", "colour", "--split", "val")
    prompts = found["prompts"]
    assert (prompts["source"], prompts["templates"]) == ("wording of scenes", None)
    assert prompts["per_class"] == len(KINDS)
    assert found["classes"]["number"] == 11 and found["results"].keys() > {"top-1", "top-5"}


def test_a_second_time_no_features_are_computed(classify, folders, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TEXTDIFF_CACHE", str(tmp_path / "cache"))
    first = classify("--data", folders)
    assert ": computed, kept in" in capsys.readouterr().err
    again = classify("--data", folders)
    assert ": read, none computed" in capsys.readouterr().err
    assert again == first
    classify("--data", folders, "--feature-cache", "off")
    assert "features of" not in capsys.readouterr().err


def test_the_protocol_of_imagenet(classify, tmp_path, monkeypatch):
    """On folders in ImageNet's layout, of as many classes as are quick to look at."""
    names = ("tench", "goldfish", "great white shark")
    monkeypatch.setattr("open_clip.IMAGENET_CLASSNAMES", list(names))
    ids = ("n01440764", "n01443537", "n01484850")
    for wnid, colour in zip(ids, COLOURS, strict=False):
        (tmp_path / "val" / wnid).mkdir(parents=True)
        draw_shape(colour, "circle").save(tmp_path / "val" / wnid / "ILSVRC2012_val_1.JPEG")
    protocol = ["--config", "protocols/imagenet_zero_shot", "--data", tmp_path]
    found, lines = classify(*protocol)
    assert (found["truth"], found["data"]["split"]) == ("sorted-folders", "val")
    assert (found["classes"]["source"], found["classes"]["number"]) == ("imagenet", 3)
    assert (found["prompts"]["source"], found["prompts"]["per_class"]) == ("imagenet", 80)
    spelled = {line["picture"].split("/")[1]: line["truth"] for line in lines}
    assert spelled == dict(zip(ids, names, strict=True))


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "has no class; a picture is told among two or more"),
        (["red", "green", "red"], "line 3: 'red' is in line 1 already"),
    ],
)
def test_unusable_classes(fails, folders, tmp_path, lines, message):
    classes = written(tmp_path / "a.txt", *lines)
    assert message in fails(2, "--data", folders, "--classes", classes)


def test_a_template_without_a_place(fails, folders, tmp_path):
    templates = written(tmp_path / "t.txt", "a photo")
    message = fails(2, "--data", folders, "--templates", templates)
    assert (
        message
        == f"--templates {templates}, line 1: 'a photo' has no {{}}; give one, for the "
        + ("class's name")
    )


def test_a_folder_of_an_unknown_class(fails, folders, tmp_path):
    classes = written(tmp_path / "a.txt", "red", "yelow", "green", "blue")
    message = fails(3, "--data", folders, "--classes", classes, "--split", "all")
    assert "'yellow' is no class of" in message and "did you mean 'yelow'?" in message


def test_labels_of_a_column_that_is_not_there(fails, shapes, folders):
    message = fails(3, "--data", shapes, "--data.label-column", "species")
    assert "no column 'species'" in message
    message = fails(3, "--data", folders, "--data.label-column", "species")
    assert "so no column 'species'" in message
    assert "--truth label needs --data.label-column" in fails(
        2, "--data", folders, "--truth", "label"
    )


def test_no_pictures(fails, tmp_path, folders):
    (tmp_path / "empty").mkdir()
    assert str(tmp_path / "empty") in fails(3, "--data", tmp_path / "empty")
    fractions = ["--data.val-fraction", "0", "--data.test-fraction", "0"]
    assert "its test split is empty" in fails(3, "--data", folders, "--split", "test", *fractions)


def test_no_classes_and_no_truth(fails, shapes):
    assert fails(2, "--data", shapes) == module.NO_CLASSES
    assert "--confusion needs a truth" in fails(
        2, "--data", shapes, "--truth", "none", "--confusion", "a.png"
    )


def test_broken_pictures(fails, folders):
    shutil.copy(__file__, folders / "red" / "circle.png")
    message = fails(3, "--data", folders, "--split", "all", quiet=False)
    assert "1 of" in message and "red/circle.png" in message


def test_classes_are_a_setting_of_the_protocol():
    settings = settings_of(
        ["classify", "--config", "protocols/imagenet_zero_shot", "--clip", "a", "--data", "b"]
    )
    assert (settings.classes, settings.templates) == ("imagenet", "imagenet")
    assert (settings.data.val_fraction, settings.data.test_fraction) == (0, 0)
