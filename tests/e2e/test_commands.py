"""Each command once as people type it, in a process of its own, by its script where it has one.

The quickstart's test does the same for `data info`, `train-clip`, `train`, `retrieval` and
`prompt-following`. What commands compute is tested in this process, without their start.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.warm import python
from tests.helpers.workers import prepared_once
from textdiff.clip import ClipModel, NoisedClip

pytestmark = pytest.mark.slow

SAME_SIZE = ["--data.image-size", "16", "--data.min-side", "4"]


def finished(*arguments: str | Path) -> str:
    """What the command prints, which must end well and complain about nothing."""
    done = python(*arguments)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "Warning" not in done.stderr
    return done.stdout


@pytest.fixture
def data(shapes) -> list[str]:
    return ["--data", str(shapes), *SAME_SIZE]


@pytest.fixture(scope="module")
def noised(tmp_path_factory, noised_flags) -> Path:
    flags = [*noised_flags, "--train.steps", "2"]
    return prepared_once(
        tmp_path_factory,
        "finetuned",
        lambda folder: finished("scripts/finetune_clip.py", *flags, "--run-dir", folder),
    )


@pytest.fixture
def evaluators(tiny_clip, tmp_path) -> list[Path]:
    """Two CLIPs that had no part in anything."""
    folders = [tmp_path / "one", tmp_path / "two"]
    for seed, folder in enumerate(folders, 1):
        clip = ClipModel.load(tiny_clip)
        clip.model.text_projection.data += 0.1 * seed
        clip.save(folder)
    return folders


def test_finetune_clip(noised):
    assert NoisedClip.load(noised).image_size == 16


def test_sample(tiny_run, tmp_path):
    usual = ["--model", tiny_run, "--num-steps", "2", "--out", tmp_path]
    shown = finished(
        *("scripts/sample.py", *usual, "--prompt", "red circle", "blue cross"),
        *("--num-images", "2", "--guidance-scale", "3", "--seed", "7"),
    )
    assert shown == f"4 pictures and grid.png in {tmp_path}\n"
    for k in range(4):
        with Image.open(tmp_path / f"{k:05d}-seed7.png") as picture:
            assert picture.size == (16, 16)


def test_export(tiny_run, tmp_path):
    shown = finished("-m", "textdiff", "export", "--model", tiny_run, "--out", tmp_path / "out")
    assert f'DiffusionPipeline.from_pretrained("{tmp_path / "out"}"' in shown
    assert (tmp_path / "out" / "model_index.json").is_file()


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        ("clip_score", ["--num-steps", "2"]),
        ("inversion", ["--num-pictures", "2", "--num-steps", "2"]),
        ("likelihood", ["--num-images", "2", "--num-steps", "2"]),
    ],
)
def test_evaluations_of_a_model(tiny_run, data, tmp_path, name, flags):
    out = tmp_path / "numbers.json"
    finished(f"evals/{name}.py", "--model", tiny_run, *data, *flags, "--json", out)
    assert json.loads(out.read_text())["model"]["name"] == str(tiny_run)


def test_report(tiny_clip, tmp_path):
    out = tmp_path / "report.html"
    shown = finished("evals/report.py", "--run", tiny_clip, "--out", out)
    assert f"report: {out} (" in shown
    assert "</html>" in out.read_text()


def test_features_and_distribution(tiny_clip, shapes, data, tmp_path):
    real, out = tmp_path / "real.safetensors", tmp_path / "numbers.json"
    flags = ["--features", tiny_clip, *data, "--feature-cache", "off"]
    shown = finished("evals/features.py", *flags, "--out", real)
    assert shown == f"features of 16 pictures, 32 numbers each: {real}\n"
    flags = ["--images", shapes, "--features", tiny_clip, "--feature-cache", "off", *SAME_SIZE]
    finished("evals/distribution.py", *flags, "--reference", real, "--json", out)
    assert json.loads(out.read_text())["drawn"]["recall"]["mean"] == 1
    assert "B - A" in finished("evals/compare.py", out, out)


def test_noised_clip(noised, tiny_clip, shapes, tmp_path):
    flags = ["--noised", noised, "--clean", tiny_clip, "--data", shapes, "--data.min-side", "4"]
    finished(
        *("evals/noised_clip.py", *flags, "--split", "all", "--draws", "1", "--levels", "2"),
        *("--plot", tmp_path / "plot.png", "--json", tmp_path / "numbers.json"),
    )
    assert json.loads((tmp_path / "numbers.json").read_text())["timesteps"] == [0, 99]
    assert (tmp_path / "plot.png").is_file()


def test_guidance(tiny_run, noised, evaluators, data, tmp_path):
    shown = finished(
        *("evals/guidance.py", "--model", tiny_run, "--clip-guide", noised, *data),
        *("--evaluators", *evaluators, "--scales", "1", "--clip-scales", "0", "2"),
        *("--num-prompts", "4", "--num-steps", "2", "--json", tmp_path / "sweep.json"),
    )
    assert "real pictures" in shown
    found = json.loads((tmp_path / "sweep.json").read_text())
    assert [one["name"] for one in found["settings"]] == ["unguided", "CLIP 2"]


def test_plot_schedules(data, tmp_path):
    out = tmp_path / "schedules.png"
    finished("-m", "textdiff", "plot", "schedules", *data, "--out", out)
    assert out.is_file()


def test_doctor():
    assert "torch" in finished("-m", "textdiff", "doctor")


def test_a_loss_that_is_not_finite_ends_with_code_5(configs, shapes, tiny_clip, tmp_path):
    flags = ["--config", configs / "unet.yaml", "--data", shapes, "--clip", tiny_clip]
    flags += ["--run-dir", tmp_path / "run", "--train.lr", "1e30", "--preview.num-prompts", "0"]
    done = python("scripts/train.py", *flags)
    assert done.returncode == 5, done.stderr
    assert done.stderr.splitlines()[-1].startswith("textdiff: error: ")
