"""Binary diffusion through the commands: train, resume, draw, refuse what belongs to noise."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from textdiff import TextToImage
from textdiff.binary import BinarySchedule
from textdiff.commands.cli import run
from textdiff.config import read_yaml
from textdiff.errors import CheckpointError, UsageError
from textdiff.manifests import write_manifest

BINARY = ["--process", "binary", "--binary.num-timesteps", "20"]


def flags(configs: Path, shapes: Path, clip: Path, folder: Path, *more: str) -> list[str]:
    noise = "schedule: {name: cosine, num_timesteps: 100}\n"
    config = (configs / "unet.yaml").read_text()
    assert noise in config
    (unet := folder.parent / "unet.yaml").write_text(config.replace(noise, ""))
    settings = ["train", "--config", unet, "--data.source", shapes, "--clip", clip]
    return [str(part) for part in (*settings, "--run-dir", folder, *BINARY, *more)]


@pytest.fixture(scope="module")
def binary_run(tmp_path_factory, configs, shapes, tiny_clip) -> Path:
    folder = tmp_path_factory.mktemp("binary") / "run"
    run(flags(configs, shapes, tiny_clip, folder))
    return folder


@pytest.fixture
def train(configs, shapes, tiny_clip, tmp_path):
    return lambda *more: run(flags(configs, shapes, tiny_clip, tmp_path / "run", *more))


def pixels(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture)


def test_run_holds_a_one_channel_model(binary_run):
    pipe = TextToImage.load(binary_run)
    assert read_yaml(binary_run / "model.yaml")["process"] == "binary"
    assert isinstance(pipe.schedule, BinarySchedule)
    assert (pipe.unet.config.in_channels, pipe.schedule.num_timesteps) == (1, 20)


def test_training_reports_the_bound(binary_run):
    rows = [json.loads(line) for line in (binary_run / "metrics.jsonl").read_text().splitlines()]
    bound = [row["held_out/bits_per_dim"] for row in rows if "held_out/bits_per_dim" in row]
    assert len(bound) == 3
    assert all(0 < value < 3 for value in bound)


@pytest.mark.parametrize("settings", [{}, {"guidance_scale": 1.0}, {"guidance_interval": (5, 9)}])
def test_pictures_are_black_and_white(binary_run, settings):
    pictures = TextToImage.load(binary_run)("red circle", num_images=2, num_steps=5, **settings)
    for picture in pictures:
        found = pixels(picture)
        assert found.shape == (16, 16, 3)
        assert set(np.unique(found)) <= {0, 255}
        assert (found == found[..., :1]).all()
    differing = (pixels(pictures[0]) != pixels(pictures[1])).mean()
    assert 0.3 < differing < 0.7  # as coins of their own do, hardly trained


def test_picture_of_a_seed_does_not_depend_on_the_batch(binary_run):
    pipe = TextToImage.load(binary_run)
    together = pipe("red circle", num_images=3, num_steps=4, seed=5)
    apart = pipe("red circle", num_images=3, num_steps=4, seed=5, batch_size=1)
    assert all((pixels(a) == pixels(b)).all() for a, b in zip(together, apart, strict=True))


def test_kept_pixels_of_a_picture_stay(binary_run):
    picture = Image.fromarray(np.tile(np.array([[0, 255] * 8], dtype=np.uint8), (16, 1)))
    mask = Image.fromarray(np.repeat(np.uint8([[0] * 8 + [255] * 8]), 16, axis=0))
    pipe = TextToImage.load(binary_run)
    (drawn,) = pipe("red circle", num_steps=5, init_image=picture.convert("RGB"), mask=mask)
    assert (pixels(drawn)[:, :8, 0] == pixels(picture)[:, :8]).all()
    differing = (pixels(drawn)[:, 8:, 0] != pixels(picture)[:, 8:]).mean()
    assert 0.3 < differing < 0.7  # coins, hardly trained: the picture says nothing about them


@pytest.mark.parametrize(
    "settings",
    [
        {"sampler": "dpmpp"},
        {"eta": 0.5},
        {"threshold": "dynamic"},
        {"threshold_percentile": 0.9},
        {"guidance_rescale": 0.5},
        {"clip_guidance_scale": 1.0},
    ],
)
def test_settings_of_gaussian_samplers_are_refused(binary_run, settings):
    (name,) = settings
    with pytest.raises(UsageError, match=f"{name} .*: a binary model draws coins"):
        TextToImage.load(binary_run)("red circle", num_steps=2, **settings)


@pytest.mark.slow
def test_posterior_network_takes_every_step(train, tmp_path):
    with pytest.raises(UsageError, match=r"preview: .* use num_steps 20"):
        train("--binary.predicts", "posterior")
    train("--binary.predicts", "posterior", "--preview.num-steps", "20")
    pipe = TextToImage.load(tmp_path / "run")
    assert len(pipe("red circle", num_steps=20)) == 1
    with pytest.raises(UsageError, match="use num_steps 20"):
        pipe("red circle", num_steps=10)


@pytest.mark.slow
def test_another_process_of_flips_is_no_continuation(train):
    train("--train.steps", "2")
    with pytest.raises(CheckpointError, match=r"binary.schedule = cosine, now it is linear"):
        train("--train.steps", "4", "--binary.schedule", "linear")


def test_model_file_of_another_process_is_refused(binary_run, tmp_path):
    copy = shutil.copytree(binary_run, tmp_path / "copy")
    text = (copy / "model.yaml").read_text()
    (copy / "model.yaml").write_text(text.replace("process: binary", "process: gaussian"))
    write_manifest(copy, ["model.yaml"])
    with pytest.raises(CheckpointError, match=r"says process gaussian, .* trained with binary"):
        TextToImage.load(copy)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--prediction", "v"], "process binary has no setting 'prediction'"),
        (["--objective.loss", "hybrid"], "process binary has no setting 'objective'"),
        (["--schedule.name", "linear"], "process binary has no setting 'schedule'"),
        (["--unet.in-channels", "3"], "unet.in_channels is 3, .* ask for 1"),
        (["--unet.out-channels", "3"], "unet.out_channels is 3, but x_t has 1 channels"),
        (["--unet.learned-variance", "true"], "process binary trains no variance"),
        (["--binary.delta", "0.1"], "schedule is cosine and delta is given"),
    ],
)
def test_what_does_not_fit_together_is_refused(train, tmp_path, more, message):
    with pytest.raises(UsageError, match=message):
        train(*more)
    assert not (tmp_path / "run").exists()


def test_settings_of_flips_need_the_process_of_flips(configs, shapes, tiny_clip, tmp_path):
    arguments = flags(configs, shapes, tiny_clip, tmp_path / "run")
    arguments = [part for part in arguments if part not in ("--process", "binary")]
    with pytest.raises(UsageError, match="process gaussian has no setting 'binary'"):
        run(arguments)


def test_inversion_needs_noise(binary_run, shapes):
    arguments = ["inversion", "--model", str(binary_run), "--data.source", str(shapes)]
    with pytest.raises(UsageError, match="a binary model has no DDIM"):
        run([*arguments, "--data.image-size", "16", "--data.min-side", "4"])
