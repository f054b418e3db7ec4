"""Folders from somebody else: nothing in a CLIP or a model folder is run, by any command."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.helpers.damage import forget
from textdiff.clip.source import CONFIG
from textdiff.commands.cli import run
from textdiff.errors import CheckpointError
from textdiff.manifests import write_manifest

PLANTED = """
from pathlib import Path
from transformers import PreTrainedTokenizerFast

Path({marker!r}).touch()

class Planted(PreTrainedTokenizerFast):
    pass
"""


def plant(clip: Path, marker: Path, kwargs: dict[str, object] | None) -> None:
    """Makes the CLIP's tokenizer one of a class in a file beside it, which touches `marker`."""
    config = json.loads((forget(clip) / CONFIG).read_text())
    text = {"hf_tokenizer_name": "."} | ({} if kwargs is None else {"tokenizer_kwargs": kwargs})
    config["model_cfg"]["text_cfg"] |= text
    (clip / CONFIG).write_text(json.dumps(config))
    (clip / "planted.py").write_text(PLANTED.format(marker=str(marker)))
    auto_map = {"auto_map": {"AutoTokenizer": ["planted.Planted", "planted.Planted"]}}
    for name in ("tokenizer_config.json", "config.json"):
        (clip / name).write_text(json.dumps({"tokenizer_class": "Planted", **auto_map}))


@pytest.fixture(params=[{"trust_remote_code": True}, None], ids=["trusting", "asking"])
def planted(request, tmp_path, tiny_clip, tiny_run):
    """Copies of a CLIP and of a model whose tokenizers are code, and the file it would make."""
    marker = tmp_path / "ran"
    clip, model = tmp_path / "clip", tmp_path / "model"
    shutil.copytree(tiny_clip, clip)
    shutil.copytree(tiny_run, model)
    for folder in (clip, model / "clip"):
        plant(folder, marker, request.param)
    return clip, model, marker


@pytest.mark.parametrize("command", ["train", "train-clip", "retrieval", "sample"])
def test_a_tokenizer_that_is_code_is_refused(command, planted, tmp_path, configs, shapes):
    clip, model, marker = planted
    data = ["--data.source", shapes, "--run-dir", tmp_path / "run"]
    flags = {
        "train": ["--config", configs / "unet.yaml", "--clip", clip, *data],
        "train-clip": ["--config", configs / "clip.yaml", "--init", clip, *data],
        "retrieval": ["--clip", clip, "--data.source", shapes, "--data.min-side", "4"],
        "sample": ["--model", model, "--prompt", "red circle", "--out", tmp_path / "out"],
    }[command]
    with pytest.raises(CheckpointError, match=r"trust_remote_code|no tokenizer\.json"):
        run([command, *map(str, flags)])
    assert not marker.exists()


def test_a_model_without_its_clip_fetches_none(run_copy, tmp_path):
    """model.yaml names one of open_clip's list, which would be downloaded."""
    shutil.rmtree(run_copy / "clip")
    text = (run_copy / "model.yaml").read_text().splitlines()
    lines = ["clip: ViT-B-32/openai" if line.startswith("clip:") else line for line in text]
    (run_copy / "model.yaml").write_text("\n".join(lines))
    write_manifest(run_copy, ["model.yaml"])
    flags = ["--model", str(run_copy), "--prompt", "red circle", "--out", str(tmp_path / "out")]
    with pytest.raises(CheckpointError, match="put the CLIP of its training there: 'ViT-B-32"):
        run(["sample", *flags])
