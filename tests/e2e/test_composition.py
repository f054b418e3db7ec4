"""`textdiff composition`: of a model, of pictures that `sample` drew, and what it refuses."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from tests.helpers.command import TINY_CLIP, TINY_UNET
from tests.helpers.small_scenes import KINDS
from textdiff.commands.cli import run
from textdiff.errors import EXIT_BAD_DATA, DataError, UsageError


@pytest.fixture(scope="module")
def flags(tmp_path_factory) -> list[str]:
    """Of the data."""
    cache = tmp_path_factory.mktemp("cache")
    scenes = ["--data", "scenes", "--data.object-names", *KINDS, "--data.scenes", "33"]
    return [*scenes, "--data.cache-dir", str(cache)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, flags):
    """A U-Net, its CLIP and another CLIP, a few steps old."""
    root = tmp_path_factory.mktemp("runs")
    for name, text in (("clip", TINY_CLIP), ("unet", TINY_UNET)):
        (root / f"{name}.yaml").write_text(text.replace("image_size: 16", "image_size: 24"))
    for name, seed in (("clip", "0"), ("judge", "1")):
        command = ["train-clip", "--config", str(root / "clip.yaml"), *flags]
        run([*command, "--seed", seed, "--run-dir", str(root / name)])
    command = ["train", "--config", str(root / "unet.yaml"), *flags, "--clip", str(root / "clip")]
    run([*command, "--run-dir", str(root / "unet")])
    return root


@pytest.mark.slow
def test_a_model_and_what_sample_drew(trained, flags, tmp_path, capsys):
    model, judge, steps = str(trained / "unet"), str(trained / "judge"), ["--num-steps", "2"]
    out, grid = tmp_path / "composition.json", tmp_path / "grid.png"
    command = ["composition", "--model", model, "--judge", judge, *steps, "--grid", str(grid)]
    run([*command, "--num-prompts", "4", "--num-images", "2", "--json", str(out)])
    found = json.loads(out.read_text())
    assert {name: each["pictures"] for name, each in found["splits"].items()} == {
        "val": 8,
        "test": 8,
    }
    for split in found["splits"].values():
        assert split["aspects"]["both"]["real"]["mean"] == 1
        assert split["aspects"]["both"]["drawn"]["mean"] < 1  # six steps teach nothing
        assert split["R@1"].keys() == {judge}
    assert (found["model"]["name"], found["judges"][0]["name"]) == (model, judge)
    assert found["data"]["test"]["split"] == "test"
    assert (found["reader"]["image_size"], found["sampling"]["num_steps"]) == (24, 2)
    assert "Composition of scenes" in capsys.readouterr().out
    with Image.open(grid) as sheet:
        assert sheet.width > 24

    prompts = ["--prompt", "a red star", "a blue fish", "--num-images", "2"]
    run(["sample", "--model", model, *prompts, *steps, "--out", str(tmp_path / "drawn")])
    command = ["composition", "--images", str(tmp_path / "drawn"), *flags]
    run([*command, "--json", str(out)])
    given = json.loads(out.read_text())
    assert sum(each["pictures"] for each in given["splits"].values()) == 4
    assert (given["model"], given["sampling"], given["num_images"]) == (None, None, None)
    assert given["reader"] == found["reader"]

    with pytest.raises(UsageError, match="the CLIP that"):
        run(["composition", "--model", model, "--judge", str(trained / "clip")])


def test_data_without_facts_are_refused(tiny_run, tmp_path):
    out = tmp_path / "new" / "composition.json"
    with pytest.raises(DataError, match=r"without facts.*--data scenes") as refusal:
        run(["composition", "--model", str(tiny_run), "--json", str(out)])
    assert refusal.value.exit_code == EXIT_BAD_DATA
    assert not out.parent.exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "give either --model or --images"),
        (["--model", "runs/x", "--images", "out"], "give either --model or --images"),
        (["--model", "runs/x", "--split", "val", "val"], "names one twice"),
        (["--model", "runs/x", "--split", "all"], "split"),
    ],
)
def test_settings_that_contradict_each_other(flags, message):
    with pytest.raises(UsageError, match=message):
        run(["composition", *flags])
