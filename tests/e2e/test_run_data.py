"""A run knows its data: nothing that is measured of it needs to be told them, or falls back to
OpenMoji."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.helpers.command import settings_of
from textdiff import TextToImage
from textdiff.clip import ClipModel
from textdiff.commands.cli import main, run
from textdiff.config import read_yaml
from textdiff.data import open_data
from textdiff.data.of_run import read_data
from textdiff.errors import UsageError

FAST = ["--num-steps", "2"]


@pytest.fixture(scope="module")
def judges(tmp_path_factory, configs, shapes) -> list[str]:
    """Two CLIPs of other seeds."""
    folders = []
    for seed in ("7", "8"):
        clip = ClipModel.build(settings_clip(configs), int(seed))
        folders.append(str(tmp_path_factory.mktemp(f"judge{seed}")))
        clip.save(folders[-1])
    return folders


def settings_clip(configs):
    flags = ["train-clip", "--config", configs / "clip.yaml", "--run-dir", "any"]
    return settings_of(flags).clip


@pytest.fixture(scope="module")
def noised(tmp_path_factory, configs, tiny_clip, tiny_run) -> Path:
    """A noised CLIP whose data nobody named."""
    folder = tmp_path_factory.mktemp("noised") / "run"
    flags = ["--config", configs / "noised_clip.yaml", "--train.steps", "2", "--init", tiny_clip]
    flags += ["--noise.schedule-from", tiny_run, "--run-dir", folder]
    run(["finetune-clip", *map(str, flags)])
    return folder


@pytest.fixture
def flags_of(tiny_run, tiny_clip, noised, judges):
    """Of each evaluation: what it measures, and as little as it can."""
    judge = judges[0]
    return {
        "prompt-following": ["--model", tiny_run, "--judge", judge, "--num-prompts", "3", *FAST],
        "clip-score": ["--model", tiny_run, "--clip", judge, "--num-prompts", "3", *FAST],
        "likelihood": ["--model", tiny_run, "--estimate", "2"],
        "retrieval": ["--clip", tiny_clip],
        "guidance": [
            *("--model", tiny_run, "--evaluators", *judges, "--num-prompts", "3", *FAST),
            *("--scales", "1", "--clip-scales", "0"),
        ],
        "inversion": ["--model", tiny_run, "--num-pictures", "2", *FAST],
        "noised-clip": ["--noised", noised, "--levels", "2", "--draws", "1"],
    }


EVALUATIONS = (
    "prompt-following",
    "clip-score",
    "likelihood",
    "retrieval",
    "guidance",
    "inversion",
    "noised-clip",
)


@pytest.mark.parametrize("name", EVALUATIONS)
def test_an_evaluation_takes_the_data_of_its_run(name, flags_of, tiny_run, tmp_path, capsys):
    out = tmp_path / "numbers.json"
    run([name, *map(str, [*flags_of[name], "--json", out])])
    document = json.loads(out.read_text())
    found = (document.get("protocol") or document)["data"]
    config = read_data(tiny_run / "config.yaml")
    data = open_data(config, found["split"])
    assert found["fingerprint"] == data.fingerprint
    assert (found["source"], found["images"]) == (config.source, len(data))
    shown = " ".join(capsys.readouterr().out.split())
    packed = "".join(shown.split()).replace("│", "")
    assert "".join(f"{data.title}".split()) in packed


@pytest.mark.parametrize("name", EVALUATIONS)
def test_any_runs_config_is_a_config(name, flags_of, tiny_run, tmp_path, capsys):
    """Also that of another command, of which the data alone are taken."""
    out = tmp_path / "numbers.json"
    config = ["--config", tiny_run / "config.yaml", "--json", out]
    run([name, *map(str, [*flags_of[name], *config])])
    assert "taken from it: data" in capsys.readouterr().err
    document = json.loads(out.read_text())
    source = read_yaml(tiny_run / "config.yaml")["data"]["source"]
    assert (document.get("protocol") or document)["data"]["source"] == source


def test_fine_tuning_takes_the_data_of_the_model(noised, tiny_run):
    assert read_yaml(noised / "config.yaml")["data"] == read_yaml(tiny_run / "config.yaml")["data"]


@pytest.mark.parametrize("name", ["prompt-following", "clip-score", "likelihood", "inversion"])
def test_an_exported_model_must_be_told(name, flags_of, tiny_run, tmp_path, capsys):
    TextToImage.load(tiny_run).save(tmp_path / "exported")
    flags = [str(tmp_path / "exported") if f == tiny_run else str(f) for f in flags_of[name]]
    with pytest.raises(SystemExit) as ended:
        main([name, *flags])
    assert ended.value.code == 2
    assert "name them: --data path/to/images" in capsys.readouterr().err


def test_an_exported_model_takes_its_size_from_itself(flags_of, tiny_run, shapes, tmp_path):
    TextToImage.load(tiny_run).save(tmp_path / "exported")
    flags = ["--model", tmp_path / "exported", "--estimate", "2", "--data", shapes]
    out = tmp_path / "numbers.json"
    run(["likelihood", *map(str, [*flags, "--data.min-side", "4", "--json", out])])
    assert json.loads(out.read_text())["data"]["image_size"] == 16


def test_a_runs_config_where_no_data_are_read(tiny_run):
    with pytest.raises(UsageError, match="describes a run"):
        settings_of(["sample", "--config", tiny_run / "config.yaml", "--model", tiny_run])


def test_a_runs_config_for_another_training(tiny_run, tmp_path, capsys):
    """What else it holds, such as the learning rate of a U-Net, is not for a CLIP."""
    flags = ["train-clip", "--config", tiny_run / "config.yaml", "--run-dir", tmp_path / "new"]
    settings = settings_of(flags)
    assert settings.data == read_data(tiny_run / "config.yaml")
    assert settings.train == type(settings.train)()
    assert "taken from it: data" in capsys.readouterr().err


def test_a_runs_config_for_the_same_training(tiny_run, tmp_path, capsys):
    flags = ["train", "--config", tiny_run / "config.yaml", "--run-dir", tmp_path / "new"]
    assert settings_of(flags).train.steps == 6
    assert capsys.readouterr().err == ""


def test_a_misspelt_key_is_still_refused(tmp_path):
    (tmp_path / "own.yaml").write_text("run_dir: a\nclip: b\nunett: {}\n")
    with pytest.raises(UsageError, match="unknown key 'unett'"):
        settings_of(["train", "--config", tmp_path / "own.yaml"])


def test_the_header_of_a_training_names_its_data(tiny_clip, shapes, configs, tmp_path, capsys):
    flags = ["--config", configs / "clip.yaml", "--data", shapes, "--run-dir", tmp_path / "new"]
    run(["train-clip", *map(str, flags)])
    assert f"{shapes}, split train (8 images)" in capsys.readouterr().out


def test_a_moved_run_still_knows(tiny_clip, tmp_path, monkeypatch):
    moved = shutil.copytree(tiny_clip, tmp_path / "elsewhere")
    monkeypatch.chdir(tmp_path)
    run(["retrieval", "--clip", moved.name])
