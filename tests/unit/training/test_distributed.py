"""Two processes with batch B train like one with batch 2B (gloo)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.helpers.command import launch
from tests.helpers.two_processes import run_in_two_processes
from tests.helpers.workers import prepared_once
from textdiff.commands.cli import run
from textdiff.data import open_data
from textdiff.data.of_run import read_data
from textdiff.metrics.latents import measure_latents
from textdiff.vae import Vae

pytestmark = pytest.mark.slow

# the histories of 2 buckets fill in the first step, from both processes' terms
BY_IMPORTANCE = [
    *("--objective.loss", "vlb", "--objective.timesteps", "importance"),
    *("--objective.buckets", "2", "--objective.history", "1"),
]
JOBS = {
    "unet": ["train"],
    "unet by importance": ["train", *BY_IMPORTANCE],
    "clip": ["train-clip"],
    "clip in groups": ["train-clip", "--train.encoder-batch-size", "1"],
    "clip by sigmoid": ["train-clip", "--loss.kind", "sigmoid"],
    "noised clip": ["finetune-clip", "--distill", "0.5"],
    # the discriminator from the first step on, so that all five are of both optimizers
    "vae": ["train-vae", "--discriminator.weight", "0.5", "--discriminator.start", "0"],
    "diffusion prior": ["train-prior", "--kind", "diffusion"],
    "autoregressive prior": ["train-prior", "--kind", "autoregressive"],
}


@pytest.fixture(scope="module")
def job(configs, shapes, tiny_clip, tiny_run, tiny_embeddings):
    """The command line of a job by its name, for so many pictures per process."""
    data = ["--data.source", shapes]
    usual = {
        "train": ["--config", configs / "unet.yaml", "--clip", tiny_clip, *data],
        "train-clip": ["--config", configs / "clip.yaml", *data],
        "finetune-clip": [
            *("--config", configs / "noised_clip.yaml", "--init", tiny_clip, *data),
            *("--noise.schedule-from", tiny_run),
        ],
        "train-prior": ["--config", configs / "prior.yaml", "--embeddings", tiny_embeddings],
        "train-vae": ["--config", configs / "vae.yaml", *data],
    }
    steps = ["--train.steps", "5", "--train.log-every", "1"]

    def command_line(name: str, batch_size: int, folder: Path) -> list[str]:
        command, *flags = JOBS[name]
        more = ["--train.batch-size", batch_size, "--run-dir", folder]
        return list(map(str, [command, *usual[command], *flags, *steps, *more]))

    return command_line


@pytest.fixture(scope="module")
def together(tmp_path_factory, job) -> Path:
    """A folder with the run folder of each job, trained by two processes."""

    def train(folder: Path) -> None:
        folder.mkdir()
        run_in_two_processes([job(name, 2, folder / name) for name in JOBS], folder)

    return prepared_once(tmp_path_factory, "together", train)


def curve(folder: Path) -> list[float]:
    """The loss of each step."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [row["loss"] for row in map(json.loads, lines) if "loss" in row]


@pytest.mark.parametrize("name", JOBS)
def test_two_processes_give_the_curve_of_one_with_twice_the_batch(tmp_path, job, together, name):
    run(job(name, 4, tmp_path / "one"))
    one = curve(tmp_path / "one")
    assert len(one) == 5
    assert one[0] != pytest.approx(one[-1], rel=1e-3)  # it learned: the curve says something
    assert curve(together / name) == pytest.approx(one, rel=2e-4)


def test_two_processes_export_the_statistics_of_one(together):
    """Measured by both: what one process says of the same weights."""
    vae = Vae.load(together / "vae")
    data = open_data(read_data(together / "vae" / "config.yaml"), "train")
    measured = measure_latents(vae, data)
    assert torch.equal(vae.measured().mean, measured.mean)
    assert torch.equal(vae.measured().std, measured.std)
    assert vae.measured().count == measured.count == len(data)


def test_accelerate_launches_as_many_processes_as_it_is_told(tmp_path, job, together):
    _, *flags = job("clip", 2, tmp_path / "launched")
    shown = launch(2, "train_clip.py", flags, hf_home=tmp_path / "hf")
    assert "2 process(es)" in shown
    assert curve(tmp_path / "launched") == curve(together / "clip")
