"""`textdiff export`: a trained run as a folder for diffusers."""

from __future__ import annotations

import resource

import numpy as np
import pytest

from tests.helpers.diffusers_noise import draw_ours
from textdiff import TextToImage
from textdiff.commands.cli import main, run
from textdiff.errors import CheckpointError, UsageError


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    """Where diffusers copies a folder's pipeline.py to."""
    from diffusers.utils import dynamic_modules_utils

    monkeypatch.setattr(dynamic_modules_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))


@pytest.mark.slow
def test_a_run_draws_the_same_in_diffusers(tiny_run, tmp_path, capsys, monkeypatch):
    from diffusers import DiffusionPipeline

    out = tmp_path / "out"
    run(["export", "--model", str(tiny_run), "--format", "diffusers", "--out", str(out)])
    printed = capsys.readouterr().out
    assert f'DiffusionPipeline.from_pretrained("{out}", trust_remote_code=True)' in printed
    weights = list(out.rglob("*.safetensors"))
    assert len(weights) == 2
    readable = out.joinpath("README.md").stat().st_mode
    assert {path.stat().st_mode for path in weights} == {readable}
    with pytest.raises(UsageError, match=r"has files in it; .* or add --overwrite"):
        run(["export", "--model", str(tiny_run), "--out", str(out)])
    weights[0].unlink()
    run(["export", "--model", str(tiny_run), "--out", str(out), "--overwrite"])
    assert weights[0].is_file()
    pipe = DiffusionPipeline.from_pretrained(out, trust_remote_code=True)
    draw_ours(monkeypatch)
    found = pipe("red circle", num_inference_steps=10).images
    expected = TextToImage.load(tiny_run)("red circle", num_steps=10, seed=0)
    difference = np.asarray(found[0], int) - np.asarray(expected[0], int)
    assert np.abs(difference).max() <= 1


def test_a_pooled_run_is_not_for_the_stock_pipeline(tiny_run, tmp_path):
    flags = ["--model", str(tiny_run), "--out", str(tmp_path), "--pipeline", "stock"]
    with pytest.raises(UsageError, match="pooled text feature"):
        run(["export", *flags])


def test_a_disk_that_takes_no_more_is_no_traceback(tiny_run, tmp_path, capsys):
    """As if it were full: no file may grow beyond 20 kB, and the U-Net's weights do."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limit[1]))
    try:
        with pytest.raises(SystemExit) as ended:
            main(["export", "--model", str(tiny_run), "--out", str(tmp_path / "out")])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert ended.value.code == 2
    assert "make room, or name another place" in capsys.readouterr().err


def test_no_model(tmp_path):
    with pytest.raises(CheckpointError, match="does not exist"):
        run(["export", "--model", str(tmp_path / "nowhere"), "--out", str(tmp_path / "out")])


def test_out_that_cannot_be_a_folder(tiny_run, tmp_path):
    (tmp_path / "file").touch()
    flags = ["--model", str(tiny_run), "--out", str(tmp_path / "file" / "out")]
    with pytest.raises(UsageError, match=r"--out .*is no folder"):
        run(["export", *flags])


@pytest.mark.slow
def test_a_latent_run_draws_the_same_in_stable_diffusions_pipeline(latent_flags, tmp_path):
    """Trained to attend to padding; one that was not cannot be continued so."""
    from diffusers import StableDiffusionPipeline

    trained, out = tmp_path / "run", tmp_path / "out"
    padding = ["--text-padding", "true", "--use-pooled", "false"]
    run(["train", *latent_flags, *padding, "--run-dir", str(trained)])
    run(["export", "--model", str(trained), "--pipeline", "stock", "--out", str(out)])
    theirs = StableDiffusionPipeline.from_pretrained(out)
    ours = TextToImage.load(trained)
    found = theirs("red circle", num_inference_steps=10, latents=ours.noise(), guidance_scale=3.0)
    expected = ours("red circle", num_steps=10, guidance_scale=3.0)
    difference = np.asarray(found.images[0], int) - np.asarray(expected[0], int)
    assert np.abs(difference).max() <= 2
    with pytest.raises(CheckpointError, match="text_padding = True, now it is None"):
        more = ["--use-pooled", "false", "--train.steps", "8"]
        run(["train", *latent_flags, *more, "--run-dir", str(trained)])
