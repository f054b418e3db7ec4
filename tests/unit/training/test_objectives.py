"""Every objective trains, resumes and samples; what does not fit together is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.helpers.paths import ROOT
from textdiff import TextToImage, checkpoint
from textdiff.commands.cli import run
from textdiff.config import read_yaml
from textdiff.errors import CheckpointError, UsageError
from textdiff.training.tasks.diffusion import DiffusionTask
from textdiff.types import Batch

OBJECTIVES = sorted((ROOT / "configs" / "objectives").glob("*.yaml"))
IMPORTANCE = ["--objective.loss", "vlb", "--objective.timesteps", "importance"]
FEW = ["--objective.buckets", "2", "--objective.history", "2"]


@pytest.fixture
def train(configs, shapes, tiny_clip, tmp_path):
    """Trains with further flags into a folder of tmp_path."""

    def start(*flags: str | Path, name: str = "run") -> Path:
        settings = ["--config", configs / "unet.yaml", "--data.source", shapes]
        folder = ["--clip", tiny_clip, "--run-dir", tmp_path / name]
        run([str(a) for a in ("train", *settings, *folder, *flags)])
        return tmp_path / name

    return start


def losses(folder: Path) -> list[float]:
    rows = map(json.loads, (folder / "metrics.jsonl").read_text().splitlines())
    return [row["loss"] for row in rows if "loss" in row]


@pytest.mark.slow
@pytest.mark.parametrize("config", OBJECTIVES, ids=lambda path: path.stem)
def test_config_trains_and_its_model_draws(train, config):
    folder = train("--config", config)
    assert torch.tensor(losses(folder)).isfinite().all()
    pipe = TextToImage.load(folder)
    learned = "hybrid" in config.stem or "vlb" in config.stem
    assert pipe.unet.config.network_channels == (6 if learned else 3)
    assert len(pipe("red circle", num_steps=2)) == 1


@pytest.mark.slow
def test_loss_falls(train):
    """The hybrid objective on one picture after another: the last steps beat the first."""
    found = losses(train("--objective.loss", "hybrid", "--train.steps", "60"))
    assert sum(found[-15:]) < 0.9 * sum(found[:15])


@pytest.mark.slow
def test_importance_history_survives_a_resume(train):
    """Three steps, then three more, draw the same timesteps as six."""
    short = ["--train.checkpoint-every", "3", *IMPORTANCE, *FEW]
    whole = train(*short, "--train.steps", "6", name="whole")
    train(*short, "--train.steps", "3", name="halves")
    halves = train(*short, "--train.steps", "6", "--resume", "must", name="halves")
    assert losses(whole)[3:] == losses(halves)[3:]
    saved = [
        checkpoint.load_tensors(f / "checkpoints" / "step-000006" / "task.safetensors")
        for f in (whole, halves)
    ]
    assert saved[0]["counts"].sum() == 6 * 4
    assert all(torch.equal(saved[0][name], saved[1][name]) for name in saved[0])


def test_importance_weights_reach_the_loss(pipe):
    """After a history that fears the first half, its timesteps come often and count little."""
    from textdiff.diffusion import ObjectiveConfig

    objective = ObjectiveConfig(loss="vlb", timesteps="importance", buckets=2, history=1)
    task = DiffusionTask(
        pipe=pipe, embed=pipe.clip.conditioning, seed=0, caption_drop=0.0, objective=objective
    )
    task.importance.update(torch.tensor([0, 99]), torch.tensor([9.0, 1.0]))
    image = torch.zeros(64, 3, 16, 16, dtype=torch.uint8)
    ids, epochs = torch.arange(64), torch.zeros(64, dtype=torch.int64)
    found = task.losses(pipe.unet, Batch(image, ["red circle"] * 64, ids, epochs), step=0)["loss"]
    (timestep, terms) = task.unseen[0]
    early = timestep < 50
    assert 0.75 < early.double().mean() < 1
    factor = (found / terms).detach()
    torch.testing.assert_close(factor[early], torch.full_like(factor[early], 0.5 / 0.8996))
    torch.testing.assert_close(factor[~early], torch.full_like(factor[~early], 0.5 / 0.1004))
    task.after_update()
    assert task.unseen == []
    assert task.importance.counts.sum() == 2 + 64


@pytest.mark.slow
def test_another_objective_is_no_continuation(train):
    train("--train.steps", "2")
    with pytest.raises(CheckpointError, match=r"objective.loss = simple, now it is min_snr"):
        train("--train.steps", "4", "--objective.loss", "min_snr")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--unet.learned-variance", "true"], "objective.loss simple trains no variance"),
        (
            ["--objective.loss", "hybrid", "--unet.learned-variance", "false"],
            "objective ask for True; leave it out",
        ),
        (["--objective.timesteps", "importance"], "with loss simple use uniform"),
        (["--schedule.zero-terminal-snr", "true"], "use prediction v or x_0"),
        (["--schedule.name", "explicit"], "betas are not given"),
        (
            [
                *("--objective.loss", "min_snr", "--prediction", "v"),
                *("--schedule.zero-terminal-snr", "true"),
            ],
            "the weight of the last step, where sampling starts, would be 0",
        ),
        (["--objective.loss", "mse"], "--objective.loss"),
        (["--prediction", "noise"], "--prediction"),
    ],
)
def test_what_does_not_fit_together_is_refused(train, tmp_path, flags, message):
    with pytest.raises(UsageError, match=message):
        train(*flags)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("betas", [[0.1, 1.0, 0.2], [0.1, -0.1]])
def test_betas_outside_the_unit_interval_are_refused(train, tmp_path, betas):
    path = tmp_path / "betas.yaml"
    path.write_text(f"schedule: {{name: explicit, betas: {betas}}}")
    with pytest.raises(UsageError, match=r"betas.yaml: .*schedule.betas.1"):
        train("--config", path)


def test_betas_that_leave_nothing_are_refused(train, tmp_path):
    path = tmp_path / "betas.yaml"
    betas = [0.999] * 200
    path.write_text(f"schedule: {{name: explicit, num_timesteps: 200, betas: {betas}}}")
    with pytest.raises(UsageError, match=r"betas.yaml: .*leave nothing of the picture"):
        train("--config", path)


@pytest.mark.slow
def test_explicit_betas_and_zero_terminal_snr_train(train, tmp_path):
    path = tmp_path / "betas.yaml"
    schedule = "{name: explicit, num_timesteps: 3, betas: [0.1, 0.2, 0.3], zero_terminal_snr: true}"
    path.write_text(f"schedule: {schedule}")
    folder = train("--config", path, "--prediction", "v")
    assert read_yaml(folder / "model.yaml")["schedule"]["num_timesteps"] == 3
    assert TextToImage.load(folder).schedule.alphas_cumprod[-1] == 0
    assert len(TextToImage.load(folder)("red circle", num_steps=3)) == 1
