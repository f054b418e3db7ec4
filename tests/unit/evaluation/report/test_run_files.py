"""What a run folder is found to hold."""

from __future__ import annotations

import pytest

from textdiff.errors import CheckpointError
from textdiff.evaluation.report.run_files import open_run
from textdiff.manifests import sha256_of


def test_a_text_to_image_run(tiny_run):
    run = open_run(str(tiny_run))
    assert run.kind == "text-to-image model"
    assert run.config.startswith("run_dir:")
    assert run.log.last("loss") is not None
    files = {file.name: file for file in run.weights}
    newest = "checkpoints/step-000006/ema.safetensors"
    assert files[newest].sha256 == sha256_of(tiny_run / newest)
    assert files[newest].size == (tiny_run / newest).stat().st_size


def test_a_clip_run(tiny_clip):
    run = open_run(str(tiny_clip))
    assert run.kind == "CLIP"
    assert "open_clip_model.safetensors" in {file.name for file in run.weights}


def test_a_vae_run(tiny_vae_run, tiny_latent_model):
    run = open_run(str(tiny_vae_run))
    assert run.kind == "VAE"
    assert "checkpoints/step-000006/ema.safetensors" in {file.name for file in run.weights}
    assert open_run(str(tiny_latent_model)).kind == "text-to-image model"


def test_a_run_that_ended_before_its_first_checkpoint(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 2}\n')
    run = open_run(str(tmp_path))
    assert (run.kind, run.config, run.weights) == ("run without weights", None, [])


@pytest.mark.parametrize(
    ("name", "message"),
    [("gone", "does not exist"), ("file", "is a file"), ("empty", "has none of config.yaml")],
)
def test_no_run(tmp_path, name, message):
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=rf"--run .*{name} {message}.*give a run folder"):
        open_run(str(tmp_path / name))
