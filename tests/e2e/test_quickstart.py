"""The quickstart's steps, on small configs of the same names."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.helpers.command import TINY_CLIP, TINY_UNET, settings_of
from tests.helpers.paths import ROOT
from textdiff.commands import cli
from textdiff.commands.quickstart import steps
from textdiff.interop import layout_to_diffusers


def scenes_of(file: Path, split: str) -> list[dict]:
    return [row for row in json.loads(file.read_text())["scenes"] if row["split"] == split]


@pytest.mark.slow
def test_quickstart_leaves_pictures_and_numbers_and_is_quick_the_second_time(
    tmp_path, monkeypatch, capsys
):
    configs, root = tmp_path / "configs", tmp_path / "run"
    configs.mkdir()
    data = {"source": "scenes", "image_size": 24, "objects": 3, "scenes": 40, "placing": "large"}
    sampling = {"num_steps": 2, "num_images": 1, "num_prompts": 8}
    (configs / "quickstart_sampling.yaml").write_text(json.dumps(sampling))
    (configs / "quickstart_data.yaml").write_text(json.dumps({"data": data}))
    clip, unet = (text.partition("\ndata:")[0] for text in (TINY_CLIP, TINY_UNET))
    (configs / "quickstart_clip.yaml").write_text(clip)
    (configs / "quickstart_judge.yaml").write_text(f"{clip}\nseed: 1\nsplit: all\n")
    (configs / "quickstart.yaml").write_text(unet)

    def in_this_process(command: list[str]) -> int:
        cli.run(command[command.index("textdiff") + 1 :])
        return 0

    monkeypatch.setattr("textdiff.commands.quickstart.run_step", in_this_process)
    quickstart = ["quickstart", "--configs", str(configs), "--run-dir", str(root)]
    cli.run(quickstart)
    first = capsys.readouterr().out
    assert "Done in" in first
    for name in ("data.png", "grid.png", "right_and_wrong.png", "retrieval.json"):
        assert (root / name).is_file()
    assert list((root / "model" / "samples").glob("step-*.png"))
    numbers = json.loads((root / "composition.json").read_text())
    assert numbers["splits"]["test"]["prompts"] == 4  # all that are held out
    assert numbers["splits"]["val"]["prompts"] == 8
    assert [judge["weights"] for judge in numbers["judges"]] != [numbers["model"]["clip"]]
    captions = {text for row in scenes_of(root / "data.json", "train") for text in row["captions"]}
    to_try = re.findall(r"'(an? [^']*)'", first.split("to try:")[1])
    assert len(to_try) == 3 and not captions & set(to_try)

    stamp = (root / "model" / "metrics.jsonl").read_text()
    cli.run(quickstart)
    assert capsys.readouterr().out.count("is finished at step") == 3
    assert (root / "model" / "metrics.jsonl").read_text() == stamp


def test_a_failing_step_ends_the_quickstart_with_its_code(tmp_path, capsys):
    configs = tmp_path / "configs"
    configs.mkdir()
    (configs / "quickstart.yaml").write_text("")
    (configs / "quickstart_data.yaml").write_text("data: {source: /nowhere/at/all, kind: folder}")
    with pytest.raises(SystemExit) as ended:
        cli.main(["quickstart", "--configs", str(configs), "--run-dir", str(tmp_path / "run")])
    assert ended.value.code == 3
    assert capsys.readouterr().err.startswith("textdiff: error: '1/6")


@pytest.mark.parametrize("configs", [None, ROOT / "configs"])
def test_every_step_can_be_read_with_the_configs_that_are_there(tmp_path, configs, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for _, command in steps(configs, tmp_path):
        assert settings_of(command).data.source == "scenes"


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


@pytest.mark.parametrize(("command", "name"), [("train", "scenes"), ("train-clip", "scenes_clip")])
def test_configs_of_two_things_look_at_the_same_scenes(command, name):
    required = ["--run-dir", "run", *(["--clip", "clip"] if command == "train" else [])]
    found = settings_of([command, "--config", str(ROOT / "configs" / f"{name}.yaml"), *required])
    data = found.data
    assert (data.source, data.level, data.image_size) == ("scenes", "relations", 48)
    assert (data.objects, data.scenes) == (24, 32768)


def test_config_of_the_noised_clip_can_be_read():
    config = str(ROOT / "configs" / "noised_clip_openmoji.yaml")
    required = ["--init", "clip", "--noise.schedule-from", "model", "--run-dir", "run"]
    assert settings_of(["finetune-clip", "--config", config, *required]).data.source == "openmoji"


@pytest.mark.parametrize("kind", ["diffusion", "autoregressive"])
def test_configs_of_priors_can_be_read(kind):
    config = str(ROOT / "configs" / f"prior_{kind}.yaml")
    required = ["--embeddings", "e.safetensors", "--run-dir", "run"]
    assert settings_of(["train-prior", "--config", config, *required]).kind == kind


def test_config_of_the_vae_can_be_read():
    config = str(ROOT / "configs" / "vae_openmoji.yaml")
    found = settings_of(["train-vae", "--config", config, "--run-dir", "run"])
    assert (found.data.source, found.data.image_size, found.vae.factor) == ("openmoji", 64, 4)


@pytest.mark.parametrize(
    ("name", "size"), [("latent_openmoji", 64), ("gpu/pixel64", 64), ("gpu/latent256", 256)]
)
def test_configs_of_larger_pictures_can_be_read(name, size):
    config = str(ROOT / "configs" / f"{name}.yaml")
    required = ["--clip", "clip", "--run-dir", "run"]
    required += ["--codec", "vae"] if name == "gpu/latent256" else []
    found = settings_of(["train", "--config", config, *required])
    assert found.data.image_size == size
    assert (found.codec is None) == (name == "gpu/pixel64")


def test_every_config_is_read_by_a_test():
    folders = (ROOT / "configs", ROOT / "configs" / "gpu")
    there = {path.stem for folder in folders for path in folder.glob("*.yaml")}
    read = {"openmoji", "plain_openmoji", "clip_openmoji", "judge_openmoji", "openmoji_binary"}
    read |= {"clip_openmoji_long", "noised_clip_openmoji", "evaluator_resnet_openmoji"}
    read |= {"quickstart", "quickstart_data", "quickstart_clip", "quickstart_judge"}
    read |= {"quickstart_sampling", "scenes", "scenes_clip", "decoder_scenes", "decoder_openmoji"}
    read |= {
        "latent_openmoji",
        "pixel64",
        "latent256",
        "prior_diffusion",
        "prior_autoregressive",
        "vae_openmoji",
    }
    assert there == read
