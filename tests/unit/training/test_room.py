"""Room for checkpoints, before the first step."""

from __future__ import annotations

from collections import namedtuple

import pytest
import torch

from tests.helpers.vae_tasks import tiny_trainer
from textdiff import TextToImage, checkpoint
from textdiff.config import build, read_yaml
from textdiff.errors import UsageError
from textdiff.training import room
from textdiff.training.room import Room, check_room, checkpoint_bytes, shown_bytes
from textdiff.training.settings.vae import TrainVaeSettings

FREE = namedtuple("FREE", "total used free")


@pytest.fixture
def free(monkeypatch):
    """Sets how many bytes are free."""

    def of(number: int) -> None:
        monkeypatch.setattr(room.shutil, "disk_usage", lambda _: FREE(0, 0, number))

    return of


def test_the_size_is_that_of_a_real_checkpoint(tiny_run):
    newest = next(checkpoint.checkpoints(tiny_run / "checkpoints"))
    real = sum(path.stat().st_size for path in newest.glob("*.safetensors"))
    unet = TextToImage.load(tiny_run, "cpu").unet.requires_grad_(True)
    assert checkpoint_bytes(unet, averaged=True) == pytest.approx(real, rel=0.1)


def test_an_adversary_counts_with_its_moments(tiny_vae_run, shapes, tmp_path):
    newest = next(checkpoint.checkpoints(tiny_vae_run / "checkpoints"))
    real = sum(path.stat().st_size for path in newest.glob("*.safetensors"))
    trainer = tiny_trainer(
        build(
            TrainVaeSettings,
            [("run", {**read_yaml(tiny_vae_run / "config.yaml"), "run_dir": str(tmp_path)})],
        )
    )
    network, adversary = trainer.task.model, trainer.adversary.network
    assert checkpoint_bytes(network, averaged=True, adversary=adversary) == pytest.approx(
        real, rel=0.1
    )
    assert checkpoint_bytes(network, averaged=True) < 0.8 * real


def test_frozen_weights_have_no_moments():
    model = torch.nn.Linear(10, 10, bias=False)
    assert checkpoint_bytes(model, averaged=False) == 400 + 800
    assert checkpoint_bytes(model.requires_grad_(False), averaged=False) == 400


def test_one_more_than_are_kept_must_fit(tmp_path, free):
    free(3000)
    check_room(tmp_path / "runs" / "new", Room(1000, keep=2))
    free(2999)
    with pytest.raises(UsageError, match=r"need 0\.003 MB \(2 kept and the new one"):
        check_room(tmp_path / "runs" / "new", Room(1000, keep=2))


def test_those_that_are_there_already_need_no_room(tmp_path, free):
    for step in (1, 2):
        checkpoint.save_checkpoint(tmp_path / "checkpoints", step, {}, {}, keep=2)
    free(1000)
    check_room(tmp_path, Room(1000, keep=2))
    free(999)
    with pytest.raises(UsageError):
        check_room(tmp_path, Room(1000, keep=2))


def test_sizes_are_shown_as_one_reads_them():
    assert (shown_bytes(12_300_000), shown_bytes(3.44e9)) == ("12.3 MB", "3.44 GB")


def test_two_exports_lie_there_while_one_takes_the_place_of_the_other(tmp_path, free):
    room = Room(1000, keep=2, export=100)
    free(3200)
    check_room(tmp_path, room)
    free(3199)
    with pytest.raises(UsageError, match=r"and an export of 0\.0001 MB"):
        check_room(tmp_path, room)
    (tmp_path / "export.json").write_text("{}")
    free(3100)
    check_room(tmp_path, room)
