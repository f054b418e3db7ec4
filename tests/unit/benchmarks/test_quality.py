"""Quality against training time: its error, what the benchmark keeps, and all of it, small."""

from __future__ import annotations

import importlib
import json

import pytest
import torch
import yaml
from PIL import Image

from tests.helpers.paths import ROOT
from textdiff import TextToImage
from textdiff.clip import ClipModel
from textdiff.config import parse_flags
from textdiff.data import DataConfig, open_data
from textdiff.diffusion import ScheduleConfig
from textdiff.models import UNet
from textdiff.training.settings.text_to_image import TrainSettings

PLAIN = ["--block-channels", "8", "16", "--layers", "1", "--head-dim", "8", "--norm-groups", "4"]


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("time_to_quality")


@pytest.fixture
def data(shapes):
    return open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "train")


def fresh(pipe, **changes) -> TextToImage:
    """With a U-Net whose output is 0."""
    config = pipe.config.model_copy(update=changes)
    return TextToImage(UNet(config.unet).eval(), pipe.clip, config)


def test_a_network_that_says_nothing_errs_by_all_of_the_noise(bench, pipe, data):
    found = bench.eps_mse(fresh(pipe), data, 12)
    assert list(found) == ["-4 to -2", "-2 to -1", "-1 to 0", "0 to 1", "1 to 3"]
    # 6,144 values of unit variance in each bin: a standard error of 0.018
    assert list(found.values()) == pytest.approx([1.0] * 5, abs=0.07)


def test_schedules_compare_by_their_level_of_noise(bench, pipe, data):
    """With v = 0, eps_hat is sqrt(1 - ac) x_t: exact where all is noise, nothing of it where none
    is. T is 1000, so that each level has a timestep near it."""
    found = [
        list(bench.eps_mse(fresh(pipe, prediction="v", schedule=schedule), data, 12).values())
        for schedule in (ScheduleConfig(name="linear"), ScheduleConfig(name="cosine"))
    ]
    assert found[0] == pytest.approx(found[1], rel=0.02)
    assert found[0] == sorted(found[0])
    assert found[0][0] < 0.05
    assert found[0][-1] > 0.85


def test_what_was_found_is_kept_for_the_same_settings(bench, tmp_path):
    file = tmp_path / "result.json"
    assert bench.kept(file, {"lr": "1"}, lambda: {"steps": 3})["steps"] == 3
    assert bench.kept(file, {"lr": "1"}, lambda: {"steps": 4})["steps"] == 3
    with pytest.raises(SystemExit, match=r"result.json was made with lr 1, now it is 2"):
        bench.kept(file, {"lr": "2"}, lambda: {"steps": 4})


@pytest.fixture
def flags(shapes, configs, tiny_clip, other_clip, tmp_path) -> list[str]:
    """A recipe of 16 pixels, its own CLIP and two judges that are others."""
    recipe = yaml.safe_load((configs / "unet.yaml").read_text())
    recipe["data"]["source"] = str(shapes)
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    third = ClipModel.load(other_clip)
    third.model.logit_scale.data.add_(0.5)
    third.save(tmp_path / "judge")
    judges = [str(other_clip), str(tmp_path / "judge")]
    few = ["--held-out", "2", "--num-prompts", "4", "--num-steps", "2"]
    given = ["--config", str(tmp_path / "recipe.yaml"), "--clip", str(tiny_clip)]
    return [*given, "--judges", *judges, *few, "--out", str(tmp_path / "out")]


@pytest.mark.slow
def test_both_loops_are_trained_and_judged(bench, flags, tmp_path, capsys):
    from diffusers import DDPMScheduler
    from diffusers_loop import LoopSettings

    short = ["--minutes", "0.05", "--our-minutes", "0.02", "0.05", "--seeds", "3"]
    plain = [*PLAIN, "--batch-size", "2"]
    files = ["--json", str(tmp_path / "found.json"), "--grid", str(tmp_path / "grid.png")]
    bench.main([*flags, *short, *plain, *files])
    results = json.loads((tmp_path / "found.json").read_text())["results"]
    assert [(one["loop"], one["minutes"], one["seed"]) for one in results] == [
        ("textdiff", 0.02, 3),
        ("textdiff", 0.05, 3),
        ("diffusers", 0.05, 3),
    ]
    assert all(one["steps"] > 0 for one in results)
    theirs = TextToImage.load(tmp_path / "out" / "diffusers-0.05min-seed3")
    assert theirs.unet.config.block_channels == (8, 16)
    trained = DDPMScheduler(**LoopSettings().schedule).alphas_cumprod.double()
    torch.testing.assert_close(theirs.schedule.alphas_cumprod, trained, rtol=1e-4, atol=0)
    assert sum(line.startswith("| ") for line in capsys.readouterr().out.splitlines()) == 5
    with Image.open(tmp_path / "grid.png") as grid:
        assert grid.height > 4 * 96  # four rows of pictures
    assert torch.isfinite(torch.tensor([list(one["eps_mse"].values()) for one in results])).all()


def test_every_recipe_is_one_that_train_takes(bench):
    recipes = importlib.import_module("recipes").RECIPES
    usual = ["--config", str(ROOT / "configs" / "openmoji.yaml"), "--clip", "a", "--run-dir", "b"]
    found = {
        name: parse_flags(TrainSettings, [*usual, *flags], "test", "train")
        for name, flags in recipes.items()
    }
    as_it_is = found.pop("as it is")
    assert found
    assert all(recipe != as_it_is for recipe in found.values())
