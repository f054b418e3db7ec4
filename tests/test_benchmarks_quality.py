"""Quality against training time: its error, what the benchmark keeps, and all of it, small."""

from __future__ import annotations

import importlib
import json

import pytest
import torch
import yaml
from PIL import Image

from tests.conftest import ROOT
from textdiff import TextToImage
from textdiff.data import DataConfig, open_data
from textdiff.models import UNet

PLAIN = ["--block-channels", "8", "16", "--layers", "1", "--head-dim", "8", "--norm-groups", "4"]


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("time_to_quality")


@pytest.fixture
def data(shapes):
    return open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "train")


@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_a_network_that_says_nothing_errs_by_all_of_the_noise(bench, pipe, data, schedule):
    config = pipe.config.model_copy(
        update={"schedule": pipe.config.schedule.model_copy(update={"name": schedule})}
    )
    fresh = TextToImage.of(UNet(config.unet).eval(), pipe.clip, config)  # its output starts as 0
    found = bench.eps_mse(fresh, data, 12)
    assert list(found) == ["-4 to -2", "-2 to -1", "-1 to 0", "0 to 1", "1 to 3"]
    # thousands of values of unit variance in each bin, and no x_t that could tell them
    assert list(found.values()) == pytest.approx([1.0] * 5, abs=0.05)


def test_the_error_is_that_of_the_level_whatever_is_predicted(bench, pipe, data):
    """With v = 0, eps_hat is sqrt(1 - ac) x_t: exact where all is noise, nothing of it where none
    is."""
    config = pipe.config.model_copy(update={"prediction": "v"})
    fresh = TextToImage.of(UNet(config.unet).eval(), pipe.clip, config)
    found = list(bench.eps_mse(fresh, data, 12).values())
    assert found == sorted(found)
    assert found[0] < 0.05
    assert found[-1] > 0.9


def test_what_was_found_is_kept_for_the_same_settings(bench, tmp_path):
    file = tmp_path / "result.json"
    assert bench.kept(file, {"lr": "1"}, lambda: {"steps": 3})["steps"] == 3
    assert bench.kept(file, {"lr": "1"}, lambda: {"steps": 4})["steps"] == 3
    with pytest.raises(SystemExit, match=r"result.json was made with lr 1, now it is 2"):
        bench.kept(file, {"lr": "2"}, lambda: {"steps": 4})


@pytest.fixture
def flags(shapes, configs, tiny_clip, tmp_path) -> list[str]:
    """A recipe of 16 pixels, its own CLIP and two judges."""
    recipe = yaml.safe_load((configs / "unet.yaml").read_text())
    recipe["data"]["source"] = str(shapes)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    usual = ["--config", str(configs / "clip.yaml"), "--data.source", str(shapes)]
    from textdiff.commands.cli import run

    judges = [str(tmp_path / f"judge-{seed}") for seed in (7, 8)]
    for seed, folder in zip((7, 8), judges, strict=True):
        run(["train-clip", *usual, "--seed", str(seed), "--run-dir", folder])
    few = ["--held-out", "2", "--num-prompts", "4", "--num-steps", "2"]
    given = ["--config", str(tmp_path / "recipe.yaml"), "--clip", str(tiny_clip)]
    return [*given, "--judges", *judges, *few, "--out", str(tmp_path / "out")]


@pytest.mark.slow
def test_both_loops_are_trained_and_judged(bench, flags, tmp_path, capsys):
    short = ["--minutes", "0.05", "--our-minutes", "0.02", "0.05", "--seeds", "3"]
    plain = [*PLAIN, "--image-size", "16", "--batch-size", "2"]
    files = ["--json", str(tmp_path / "found.json"), "--grid", str(tmp_path / "grid.png")]
    bench.main([*flags, *short, *plain, *files])
    results = json.loads((tmp_path / "found.json").read_text())["results"]
    assert [(one["loop"], one["minutes"], one["seed"]) for one in results] == [
        ("textdiff", 0.02, 3),
        ("textdiff", 0.05, 3),
        ("diffusers", 0.05, 3),
    ]
    assert all(one["steps"] > 0 for one in results)
    unet = TextToImage.load(tmp_path / "out" / "diffusers-0.05min-seed3").unet
    assert unet.config.block_channels == (8, 16)
    assert any(parameter.any() for parameter in unet.conv_out.parameters())  # it was trained
    assert sum(line.startswith("| ") for line in capsys.readouterr().out.splitlines()) == 5
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.height > 4 * 96  # four rows of pictures
    assert torch.isfinite(torch.tensor([list(one["eps_mse"].values()) for one in results])).all()
