"""Bad input to evaluations: one line with cause and cure, or a note beside the numbers."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from textdiff.clip import ClipModel
from textdiff.commands import cli

SIZES = ["--data.image-size", "16", "--data.min-side", "4", "--feature-cache", "off"]


@pytest.fixture
def fails(capsys):
    """Runs a command that ends with `code`; its last line."""

    def message(code: int, *arguments: str | Path) -> str:
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments])
        shown = capsys.readouterr().err.replace("\r", "\n").strip().splitlines()
        assert ended.value.code == code, shown
        return shown[-1].removeprefix("textdiff: error: ")

    return message


@pytest.fixture
def document(tmp_path):
    """Runs an evaluation; gives its JSON."""

    def content(*arguments: str | Path) -> dict:
        out = tmp_path / "new" / "out.json"
        cli.run([str(argument) for argument in (*arguments, "--json", out)])
        return json.loads(out.read_text())

    return content


@pytest.fixture
def bare(shapes, tmp_path) -> Path:
    """Pictures of the shapes without captions."""
    folder = tmp_path / "bare"
    folder.mkdir()
    for picture in shapes.glob("*.png"):
        shutil.copy(picture, folder)
    return folder


@pytest.fixture
def captioned(tmp_path):
    """A folder of pictures of one colour each with these captions."""

    def write(*captions: str) -> Path:
        folder = tmp_path / "captioned"
        folder.mkdir()
        for k, caption in enumerate(captions):
            colour = (40 * k % 256, 255 - 30 * k % 256, 90)
            Image.new("RGB", (16, 16), colour).save(folder / f"{k}.png")
            (folder / f"{k}.txt").write_text(caption)
        return folder

    return write


# Captions


@pytest.mark.parametrize("command", ["clip-score", "retrieval"])
def test_pictures_without_captions(fails, bare, tiny_clip, command):
    where = ["--images", bare] if command == "clip-score" else ["--data", bare, "--split", "all"]
    assert "no caption" in fails(3, command, "--clip", tiny_clip, *where, *SIZES)


@pytest.mark.parametrize("command", ["clip-score", "retrieval"])
def test_a_file_of_features_without_captions(fails, bare, tiny_clip, tmp_path, command):
    """The empty caption of a picture is none: it has no score."""
    out = tmp_path / "bare.safetensors"
    cli.run(
        ["features", "--features", str(tiny_clip), "--images", str(bare), *SIZES, "--out", str(out)]
    )
    flags = ["--clip", tiny_clip, "--features-file", out, "--feature-cache", "off"]
    message = fails(3, command, *flags)
    assert "16 of 16" in message and "have no caption, the first is number 0" in message


def test_a_distribution_needs_no_captions(document, bare, tiny_clip):
    flags = ["--features", tiny_clip, "--images", bare, "--data", bare, "--split", "all", *SIZES]
    found = document("distribution", *flags, "--training-split", "none")
    assert (found["drawn"]["pictures"], found["per_prompt"]) == (16, 1)
    assert found["drawn"]["precision"]["mean"] == 1
    assert list(found["per_item"]) == ["real pictures"]


def test_captions_without_pictures(fails, captioned, tiny_clip):
    folder = captioned("red", "green", "blue")
    rows = [{"file_name": f"{k}.png", "text": "a"} for k in range(4)]
    (folder / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    message = fails(3, "retrieval", "--clip", tiny_clip, "--data", folder, "--split", "all", *SIZES)
    assert "3.png" in message and "line 4" in message


def test_a_caption_of_several_pictures_is_told(document, captioned, tiny_clip, capsys):
    folder = captioned("red", "red", "blue", "red")
    flags = ["--clip", tiny_clip, "--data", folder, "--split", "all", *SIZES]
    found = document("retrieval", *flags)
    assert (found["searched"], found["captions"], found["captions_shared"]) == (4, 2, 1)
    note = "note: 1 of 2 captions are of several images each, any of which is right."
    assert note in capsys.readouterr().err


# Too few


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_pictures_to_search(fails, captioned, tiny_clip, count):
    folder = captioned(*["red"] * count)
    message = fails(3, "retrieval", "--clip", tiny_clip, "--data", folder, "--split", "all", *SIZES)
    assert str(folder) in message if count == 0 else "retrieval needs two or more" in message


def test_no_picture_to_score(fails, captioned, tiny_clip):
    folder = captioned()
    assert str(folder) in fails(3, "clip-score", "--clip", tiny_clip, "--images", folder, *SIZES)


def test_the_score_of_one_picture_has_no_interval(document, captioned, tiny_clip, capsys):
    found = document("clip-score", "--clip", tiny_clip, "--images", captioned("red"), *SIZES)
    assert found["results"]["given"]["pictures"] == 1
    assert "note: An interval needs two pictures or more" in capsys.readouterr().err


def test_one_prompt_is_always_the_first(fails, tiny_run, tiny_clip, captioned, tmp_path):
    """All pictures have one caption."""
    judge = ClipModel.load(tiny_clip)
    judge.model.text_projection.data += 0.1
    judge.save(tmp_path / "judge")
    data = ["--data", captioned("red", "red", "red"), "--split", "all", *SIZES]
    flags = ["--model", tiny_run, "--judge", tmp_path / "judge", *data, "--num-steps", "2"]
    message = fails(3, "prompt-following", *flags)
    assert "prompt following needs two or more" in message


def test_five_pictures_have_a_warning_of_their_distance(document, shapes, captioned, tiny_clip):
    drawn = captioned(*"abcde")
    flags = ["--features", tiny_clip, "--images", drawn, "--data", shapes, "--split", "all", *SIZES]
    found = document("distribution", *flags, "--training-split", "none")
    assert found["drawn"]["pictures"] == 5
    assert any("Frechet distance of 5 drawn" in each for each in found["warnings"])


# Features


@pytest.fixture
def broken(tiny_clip, tmp_path) -> Path:
    """A CLIP whose weights overflowed."""
    folder = shutil.copytree(tiny_clip, tmp_path / "broken")
    clip = ClipModel.load(folder)
    with torch.no_grad():
        clip.model.visual.proj.fill_(3e38)  # finite weights; their products are not
    clip.save(folder)
    return folder


@pytest.mark.parametrize(
    ("command", "named", "where"),
    [
        ("clip-score", "--clip", ["--images"]),
        ("retrieval", "--clip", ["--split", "all", "--data"]),
        ("classify", "--clip", ["--truth", "label", "--data.label-column", "text", "--data"]),
        ("distribution", "--features", ["--training-split", "none", "--images"]),
        ("features", "--features", ["--out", "features.safetensors", "--images"]),
        ("prompt-following", "--judge", ["--num-prompts", "2", "--num-steps", "1", "--data"]),
    ],
)
def test_features_that_are_not_numbers(
    fails, broken, shapes, tiny_run, tmp_path, monkeypatch, command, named, where
):
    """It is the weights that are at fault, whoever asks."""
    monkeypatch.chdir(tmp_path)
    flags = [command, named, broken, *where, shapes]
    if command == "distribution":
        flags += ["--data", shapes, "--split", "all"]
    if command == "prompt-following":
        flags += ["--model", tiny_run]
    message = fails(4, *flags, *SIZES)
    assert f"features by {broken} are NaN or infinite for " in message
    assert not (tmp_path / "features.safetensors").exists()


def test_a_file_of_features_that_are_not_numbers(fails, shapes, tiny_clip, tmp_path):
    """Of other tools, or edited: it is damaged before anything is computed."""
    out = tmp_path / "all.safetensors"
    cli.run(
        [
            "features",
            "--features",
            str(tiny_clip),
            "--images",
            str(shapes),
            *SIZES,
            "--out",
            str(out),
        ]
    )
    tensors = load_file(out)
    tensors["features"][3] = torch.nan
    save_file(tensors, out)
    message = fails(3, "retrieval", "--clip", tiny_clip, "--features-file", out)
    assert f"{out} is no file of features" in message


@pytest.mark.parametrize("command", ["clip-score", "retrieval"])
def test_a_file_of_features_of_another_model(fails, shapes, tiny_clip, tmp_path, command):
    out, other = tmp_path / "all.safetensors", tmp_path / "other"
    cli.run(
        [
            "features",
            "--features",
            str(tiny_clip),
            "--images",
            str(shapes),
            *SIZES,
            "--out",
            str(out),
        ]
    )
    clip = ClipModel.load(tiny_clip)
    clip.model.text_projection.data += 0.1
    clip.save(other)
    message = fails(2, command, "--clip", other, "--features-file", out)
    assert "they differ in weights; take one extractor for both" in message


# What is not on this machine


def test_weights_that_are_missing(fails, shapes, tmp_path, monkeypatch):
    pytest.importorskip("torch_fidelity")
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path))
    flags = ["--features", "inception", "--images", shapes, *SIZES, "--out", tmp_path / "x"]
    message = fails(2, "features", *flags)
    assert "weights-inception-2015-12-05" in message and str(tmp_path) in message
    assert not (tmp_path / "x").exists()


def test_an_extra_that_is_missing(fails, shapes, tmp_path, monkeypatch):
    find_spec = cli.importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec",
        lambda name: None if name == "torch_fidelity" else find_spec(name),
    )
    flags = ["--features", "inception", "--images", shapes, *SIZES, "--out", tmp_path / "x"]
    assert "pip install torch-fidelity (extra 'eval')" in fails(2, "features", *flags)
