"""The quickstart's steps, on small configs of the same names."""

from __future__ import annotations

import json
from importlib import import_module

import pytest

from tests.helpers.command import TINY_CLIP, TINY_UNET, textdiff
from tests.helpers.paths import ROOT
from textdiff.commands.cli import COMMANDS
from textdiff.commands.quickstart import CONFIGS, steps
from textdiff.config import Settings, parse_flags
from textdiff.interop import layout_to_diffusers


@pytest.mark.slow
def test_quickstart_leaves_pictures_and_numbers_and_is_quick_the_second_time(tmp_path, shapes):
    configs, root = tmp_path / "configs", tmp_path / "run"
    configs.mkdir()
    data = {"source": str(shapes), "image_size": 16, "min_side": 4}
    (configs / "quickstart_data.yaml").write_text(json.dumps({"data": data}))
    (configs / "quickstart_clip.yaml").write_text(TINY_CLIP)
    (configs / "quickstart_judge.yaml").write_text(TINY_CLIP + "\nseed: 1\nsplit: all\n")
    (configs / "quickstart.yaml").write_text(TINY_UNET)

    first = textdiff("quickstart", "--configs", configs, "--run-dir", root)
    assert first.returncode == 0, first.stderr
    assert "Done in" in first.stdout
    assert "GiB of memory" in first.stdout
    for name in ("data.png", "grid.png", "prompt_following.json", "retrieval.json"):
        assert (root / name).is_file()
    assert list((root / "model" / "samples").glob("step-*.png"))
    numbers = json.loads((root / "prompt_following.json").read_text())
    assert numbers["prompts"] == 8
    assert numbers["model"]["clip"] != numbers["judge"]["weights"]

    stamp = (root / "model" / "metrics.jsonl").read_text()
    second = textdiff("quickstart", "--configs", configs, "--run-dir", root)
    assert second.returncode == 0, second.stderr
    assert second.stdout.count("is finished at step") == 3
    assert (root / "model" / "metrics.jsonl").read_text() == stamp


def test_a_failing_step_ends_the_quickstart_with_its_code(tmp_path):
    configs = tmp_path / "configs"
    configs.mkdir()
    (configs / "quickstart.yaml").write_text("")
    (configs / "quickstart_data.yaml").write_text("data: {source: /nowhere/at/all, kind: folder}")
    done = textdiff("quickstart", "--configs", configs, "--run-dir", tmp_path / "run")
    assert done.returncode == 3
    assert done.stderr.strip().splitlines()[-1].startswith("textdiff: error: '1/6")


def settings_of(command: list[str]) -> Settings:
    """What a command line sets. Raises UsageError as the command would."""
    name = " ".join(command[:2]) if " ".join(command[:2]) in COMMANDS else command[0]
    module = import_module(f"textdiff.commands.{COMMANDS[name].module}")
    flags = command[len(name.split()) :]
    return parse_flags(getattr(module, COMMANDS[name].settings), flags, name, "")


def test_every_step_can_be_read_with_the_configs_that_are_there(tmp_path):
    for _, command in steps(CONFIGS, tmp_path):
        assert settings_of(command).data.subset == "nature"


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("train", "openmoji"),
        ("train", "plain_openmoji"),
        ("train-clip", "clip_openmoji"),
        ("train-clip", "clip_openmoji_long"),
        ("train-clip", "judge_openmoji"),
        ("train-clip", "evaluator_resnet_openmoji"),
    ],
)
def test_configs_of_the_whole_set_can_be_read(command, name):
    required = ["--run-dir", "run", *(["--clip", "clip"] if command == "train" else [])]
    found = settings_of([command, "--config", str(ROOT / "configs" / f"{name}.yaml"), *required])
    assert (found.data.source, found.data.subset) == ("openmoji", "all")


def test_plain_config_is_of_diffusers_layout_and_its_stock_pipeline():
    config = str(ROOT / "configs" / "plain_openmoji.yaml")
    found = settings_of(["train", "--config", config, "--run-dir", "run", "--clip", "clip"])
    assert layout_to_diffusers(found.unet)["block_out_channels"] == (64, 128, 192)
    assert not found.use_pooled


def test_config_of_line_drawings_can_be_read():
    config = str(ROOT / "configs" / "openmoji_binary.yaml")
    found = settings_of(["train", "--config", config, "--run-dir", "run", "--clip", "clip"])
    assert (found.process, found.data.style) == ("binary", "lines")


def test_config_of_the_noised_clip_can_be_read():
    config = str(ROOT / "configs" / "noised_clip_openmoji.yaml")
    required = ["--init", "clip", "--noise.schedule-from", "model", "--run-dir", "run"]
    assert settings_of(["finetune-clip", "--config", config, *required]).data.source == "openmoji"


def test_every_config_is_read_by_a_test():
    there = {path.stem for path in (ROOT / "configs").glob("*.yaml")}
    read = {"openmoji", "plain_openmoji", "clip_openmoji", "judge_openmoji", "openmoji_binary"}
    read |= {"clip_openmoji_long", "noised_clip_openmoji", "evaluator_resnet_openmoji"}
    read |= {"quickstart", "quickstart_data", "quickstart_clip", "quickstart_judge"}
    assert there == read
