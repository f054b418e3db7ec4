"""The command `distribution`: of a model, a folder and feature files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from textdiff.clip import ClipModel
from textdiff.commands.cli import run
from textdiff.errors import UsageError

SIZES = ["--data.image-size", "16", "--data.min-side", "4"]


@pytest.fixture
def measured(shapes, tmp_path):
    """Runs the command on all shapes; gives its JSON."""

    def result(*flags: str | Path) -> dict:
        out = tmp_path / "out.json"
        run(["distribution", *map(str, flags), "--json", str(out)])
        return json.loads(out.read_text())

    return result


@pytest.fixture
def feature_file(tiny_clip, shapes, tmp_path):
    """A file of features of a split of the shapes."""

    def write(split: str, clip: Path = tiny_clip) -> Path:
        out = tmp_path / f"{split}-{clip.name}.safetensors"
        flags = ["--features", clip, "--data", shapes, *SIZES, "--split", split, "--out", out]
        run(["features", *map(str, flags)])
        return out

    return write


def test_a_model(measured, tiny_run, tiny_clip, shapes, tmp_path, capsys):
    grid = tmp_path / "grid.png"
    found = measured(
        *("--model", tiny_run, "--features", tiny_clip, "--data", shapes, *SIZES, "--split", "all"),
        *("--num-prompts", "4", "--num-images", "2", "--num-steps", "2", "--seed", "5"),
        *("--grid", grid, "--grid-pictures", "3"),
    )
    assert (found["drawn"]["pictures"], found["drawn"]["real"], found["per_prompt"]) == (8, 16, 2)
    assert found["real"]["pictures"] == 8
    assert found["diversity"]["mean"] > 0
    assert found["training"]["split"] == "train"
    assert found["features"]["kind"] == "clip"
    assert found["model"]["name"] == str(tiny_run)
    assert found["sampling"]["seed"] == 5
    assert any(
        "was trained with, which flatters its pictures" in each for each in found["warnings"]
    )
    captured = capsys.readouterr()
    assert "8 pictures against 16 of" in captured.out
    assert "note: Frechet distance of 8 drawn and 16 real pictures" in captured.err
    with Image.open(grid) as sheet:
        assert 3 * 96 < sheet.width < 4 * 96
        assert sheet.height > 2 * 96


def test_a_folder_and_the_same_again(measured, tiny_clip, shapes, capsys):
    flags = ["--images", shapes, "--features", tiny_clip, "--data", shapes, *SIZES]
    flags += ["--split", "all", "--training-split", "none"]
    first = measured(*flags)
    assert first["drawn"]["frechet"]["mean"] == pytest.approx(0, abs=1e-6)
    assert first["drawn"]["recall"]["mean"] == 1
    assert (first["pictures"]["images"], first["model"]) == (16, None)
    capsys.readouterr()
    assert measured(*flags) == first
    said = capsys.readouterr().err
    assert said.count("read, none computed") == 2
    assert "computed, kept" not in said


def test_files_of_features(measured, feature_file):
    found = measured("--features-file", feature_file("train"), "--reference", feature_file("all"))
    assert (found["drawn"]["pictures"], found["drawn"]["real"]) == (8, 16)
    assert found["pictures"]["split"] == "train"
    assert found["data"]["split"] == "all"


def test_files_of_pictures_of_two_sizes(measured, feature_file, tiny_clip, shapes, tmp_path):
    out = tmp_path / "larger.safetensors"
    flags = ["--features", tiny_clip, "--data", shapes, "--data.min-side", "4"]
    run(["features", *map(str, flags), "--data.image-size", "32", "--out", str(out)])
    found = measured("--features-file", feature_file("all"), "--reference", out)
    assert any("are of 16 pixels, real ones of 32" in each for each in found["warnings"])


def test_files_of_two_models(measured, feature_file, tiny_clip, tmp_path):
    other = ClipModel.load(tiny_clip)
    other.model.text_projection.data += 0.1
    other.save(tmp_path / "other")
    files = feature_file("train"), feature_file("all", tmp_path / "other")
    with pytest.raises(UsageError, match=r"--reference .*all-other.* they differ in weights"):
        measured("--features-file", files[0], "--reference", files[1])
    with pytest.raises(UsageError, match=r"--features-file .*train.* holds features by clip"):
        run(["retrieval", "--clip", str(tmp_path / "other"), "--features-file", str(files[0])])


def test_a_file_of_features_is_searched_as_its_pictures_are(
    feature_file, tiny_clip, shapes, tmp_path
):
    by_pictures, by_file = tmp_path / "pictures.json", tmp_path / "file.json"
    flags = ["retrieval", "--clip", str(tiny_clip), "--json"]
    run([*flags, str(by_pictures), "--data", str(shapes), *SIZES, "--split", "all"])
    run([*flags, str(by_file), "--features-file", str(feature_file("all"))])
    assert json.loads(by_file.read_text()) == json.loads(by_pictures.read_text())
    score = tmp_path / "score.json"
    run(
        [
            "clip-score",
            "--judge",
            str(tiny_clip),
            "--features-file",
            str(feature_file("all")),
            "--json",
            str(score),
        ]
    )
    assert json.loads(score.read_text())["results"]["given"]["pictures"] == 16


def test_grid_without_training_pictures(measured, tiny_clip, shapes, tmp_path):
    """All of them are stated to be test pictures."""
    folder = shutil.copytree(shapes, tmp_path / "test_only")
    rows = [json.loads(line) for line in (folder / "metadata.jsonl").read_text().splitlines()]
    text = "\n".join(json.dumps({**row, "split": "test"}) for row in rows)
    (folder / "metadata.jsonl").write_text(text)
    flags = ["--images", folder, "--features", tiny_clip, "--data", folder, *SIZES]
    with pytest.raises(UsageError, match="no training pictures to show"):
        measured(*flags, "--split", "test", "--grid", tmp_path / "g.png")
