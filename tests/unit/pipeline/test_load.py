"""Model folders that cannot be used: what is wrong with them, and what would be right."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from textdiff import TextToImage
from textdiff.clip import ClipConfig, ClipModel
from textdiff.config import read_yaml
from textdiff.errors import CheckpointError
from textdiff.manifests import write_manifest


def refusal(folder: Path) -> str:
    """The message, one line, of a folder that holds no usable model."""
    with pytest.raises(CheckpointError) as caught:
        TextToImage.load(folder)
    message = str(caught.value)
    assert "\n" not in message
    return message


def changed(folder: Path, **changes) -> Path:
    """model.yaml with other values, which its manifest has too; a mapping changes a section."""
    model = read_yaml(folder / "model.yaml")
    for key, value in changes.items():
        model[key] = {**model[key], **value} if isinstance(value, dict) else value
    (folder / "model.yaml").write_text(json.dumps(model))
    write_manifest(folder, ["model.yaml"])
    return folder


def test_no_model_there(tmp_path):
    assert "has no model.yaml; give a run folder of textdiff train" in refusal(tmp_path)


def test_no_checkpoint_yet(run_copy):
    shutil.rmtree(run_copy / "checkpoints")
    assert "has no checkpoint yet" in refusal(run_copy)


def test_model_file_of_something_else(run_copy):
    (run_copy / "model.yaml").write_text("colour: red")
    expected = f"{run_copy / 'model.yaml'} describes no model of this version: "
    assert expected in refusal(run_copy)


def test_model_file_and_weights_that_disagree(run_copy):
    message = refusal(changed(run_copy, unet={"block_channels": [16, 48]}))
    assert "ema.safetensors: '" in message
    assert "the model's config asks for" in message


def test_learned_variance_that_the_weights_lack(run_copy):
    message = refusal(changed(run_copy, unet={"learned_variance": True}))
    assert "ema.safetensors: 'conv_out.weight' has shape (3, 16, 3, 3)" in message
    assert "the model's config asks for (6, 16, 3, 3)" in message


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"prediction": "v"}, "says prediction v, but"),
        ({"schedule": {"name": "linear"}}, "says schedule.name linear, but"),
        ({"text_layers": [0]}, "says text_layers [0], but"),
    ],
)
def test_model_file_that_reads_the_weights_in_another_way(run_copy, changes, expected):
    message = refusal(changed(run_copy, **changes))
    assert f"{run_copy / 'model.yaml'} {expected}" in message
    assert message.endswith("put that back")


@pytest.mark.parametrize("where", ["unet", "clip"])
def test_weights_that_are_not_finite(tiny_run, tmp_path, where):
    """They drew black pictures, with exit code 0."""
    pipe = TextToImage.load(tiny_run)
    name, weight = next(iter(getattr(pipe, where).named_parameters()))
    weight.data.view(-1)[0] = float("nan")
    pipe.save(tmp_path)
    assert f"'{name.removeprefix('model.')}' holds values that are not finite" in refusal(tmp_path)


def test_eps_without_any_signal(run_copy):
    message = refusal(changed(run_copy, schedule={"zero_terminal_snr": True}))
    assert "prediction eps with schedule.zero_terminal_snr" in message
    assert "use prediction v or x_0" in message


def test_clip_of_another_width(run_copy):
    text = {"context_length": 12, "width": 64, "heads": 2, "layers": 1}
    ClipModel.build(ClipConfig.model_validate({"text": text}), seed=0).save(run_copy / "clip")
    message = refusal(run_copy)
    assert "has text features of width 64" in message
    assert "put the CLIP of its training there" in message
