"""A training in small: what it says holds, and it leaves nothing behind."""

from __future__ import annotations

import os
import re
from collections import namedtuple
from pathlib import Path

import pytest

from textdiff import checkpoint
from textdiff.commands.cli import run
from textdiff.errors import UsageError
from textdiff.locks import locked
from textdiff.training import dry_run as module
from textdiff.training.config import TrainConfig
from textdiff.training.dry_run import DryRun
from textdiff.training.run_lock import LOCK
from textdiff.vae.adversarial import PatchDiscriminator

FOUND = DryRun(
    step=0.5,
    evaluation=10.0,
    checkpoint=2.0,
    checkpoint_bytes=1000,
    folder_bytes=50,
    memory=1,
)


def test_time_is_that_of_steps_evaluations_and_checkpoints():
    config = TrainConfig(steps=100, eval_every=30, checkpoint_every=50)
    # evaluations at 0, 30, 60, 90 and 100; checkpoints at 50 and 100
    assert FOUND.seconds(config) == 100 * 0.5 + 5 * 10.0 + 2 * 2.0


def test_a_run_by_the_clock_takes_no_longer():
    assert FOUND.seconds(TrainConfig(steps=100_000, max_minutes=3)) == 180


def test_disk_holds_one_checkpoint_more_than_are_kept():
    assert FOUND.disk(TrainConfig(keep_checkpoints=3)) == 4050


@pytest.fixture(params=["unet", "clip", "noised clip", "prior", "vae"])
def training(request, configs, shapes, tiny_clip, noised_flags, tiny_embeddings) -> list[str]:
    data = ["--data.source", shapes]
    commands = {
        "unet": ["train", "--config", configs / "unet.yaml", *data, "--clip", tiny_clip],
        "clip": ["train-clip", "--config", configs / "clip.yaml", *data],
        "noised clip": ["finetune-clip", *noised_flags],
        "vae": ["train-vae", "--config", configs / "vae.yaml", *data],
        "prior": [
            *("train-prior", "--config", configs / "prior.yaml"),
            *("--embeddings", tiny_embeddings),
        ],
    }
    return list(map(str, commands[request.param]))


@pytest.mark.slow
def test_every_trainer_has_one_and_nothing_is_kept(training, tmp_path, capsys):
    run([*training, "--run-dir", str(tmp_path / "runs" / "a"), "--dry-run"])
    shown = capsys.readouterr().out
    assert re.search(r"dry run passed.*memory .*disk .*time .*nothing was kept", shown, re.S)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_size_of_a_checkpoint_is_that_of_the_real_run(
    configs, shapes, tiny_clip, tiny_run, tmp_path, capsys
):
    flags = ["--config", configs / "unet.yaml", "--data.source", shapes, "--clip", tiny_clip]
    run(["train", *map(str, flags), "--run-dir", str(tmp_path / "run"), "--dry-run"])
    stated = re.search(r"checkpoints of ([\d.]+) MB", capsys.readouterr().out)
    newest = next(checkpoint.checkpoints(tiny_run / "checkpoints"))
    size = sum(path.stat().st_size for path in newest.iterdir())
    assert float(stated[1]) == pytest.approx(size / 1e6, rel=0.01)


def test_a_discriminator_that_starts_later_counts(configs, shapes, tmp_path, capsys):
    flags = ["--config", configs / "vae.yaml", "--data", shapes, "--run-dir", tmp_path / "run"]
    flags += ["--eval-images", 2, "--statistics-images", 2, "--dry-run"]
    sizes = []
    for weight in (0, 0.5):
        run(["train-vae", *map(str, flags), "--discriminator.weight", str(weight)])
        stated = re.search(r"checkpoints of ([\d.]+) MB", capsys.readouterr().out)
        sizes.append(1e6 * float(stated[1]))
    network = PatchDiscriminator()  # weights and two moments
    assert sizes[1] - sizes[0] == pytest.approx(
        3 * 4 * sum(p.numel() for p in network.parameters()), rel=0.02
    )


@pytest.mark.slow
def test_a_run_that_is_there_stays_as_it_is(run_copy, configs, shapes, tiny_clip):
    before = {path: path.stat().st_mtime_ns for path in run_copy.rglob("*")}
    flags = ["--config", configs / "unet.yaml", "--data.source", shapes, "--clip", tiny_clip]
    run(["train", *map(str, flags), "--run-dir", str(run_copy), "--dry-run"])
    after = {path: path.stat().st_mtime_ns for path in run_copy.rglob("*")}
    assert after == before


@pytest.mark.slow
def test_a_disk_without_room_is_said(configs, shapes, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")(10, 9, 1000)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage)
    flags = ["--config", configs / "clip.yaml", "--data.source", shapes]
    with pytest.raises(UsageError, match=r"needs .* MB, 0\.001 MB are free"):
        run(["train-clip", *map(str, flags), "--run-dir", str(tmp_path / "run"), "--dry-run"])
    assert list(Path(tmp_path).iterdir()) == []


def test_a_check_and_a_dry_run_are_two_things(configs):
    with pytest.raises(UsageError, match="give one of them"):
        run(["train-clip", "--run-dir", "run", "--check", "overfit", "--dry-run"])


def test_what_a_killed_one_left_goes_with_the_next_and_a_living_one_stays(tmp_path):
    names = ("killed", "killed-early", "living", "new")
    killed, early, living, new = folders = [tmp_path / f".dry-run-{name}" for name in names]
    for folder in folders:
        (folder / "checkpoints").mkdir(parents=True)
    (killed / LOCK).touch()
    os.utime(early, (0, 0))
    with locked(living / LOCK):
        module._remove_abandoned(tmp_path)
        assert sorted(tmp_path.iterdir()) == [living, new]
