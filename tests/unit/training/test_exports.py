"""What is derived from a checkpoint is that checkpoint's, whenever the run was killed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from textdiff import checkpoint
from textdiff.clip import ClipModel
from textdiff.clip.noised import NoisedClip
from textdiff.commands.cli import run
from textdiff.training import loop
from textdiff.training.exports import is_current


class KilledError(Exception):
    """Stands for a signal that no process survives."""


@pytest.fixture
def clip_flags(configs, shapes, tmp_path) -> list[str]:
    flags = ["--config", str(configs / "clip.yaml"), "--data.source", str(shapes)]
    flags += ["--train.checkpoint-every", "2", "--run-dir", str(tmp_path / "run")]
    return ["train-clip", *flags]


@pytest.fixture
def noised_run_flags(noised_flags, tmp_path) -> list[str]:
    flags = ["--train.steps", "4", "--train.checkpoint-every", "2"]
    return ["finetune-clip", *noised_flags, *flags, "--run-dir", str(tmp_path / "run")]


def kill_before_the_export_of(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    export = loop.ensure_export

    def killed(task, folder, of):
        if of.name == f"step-{step:06d}":
            raise KilledError
        export(task, folder, of)

    monkeypatch.setattr(loop, "ensure_export", killed)


def newest(run_dir: Path) -> Path:
    return next(checkpoint.checkpoints(run_dir / "checkpoints"))


def assert_exported(run_dir: Path, module: torch.nn.Module, stem: str) -> None:
    """`module`, as loaded from the run folder, has the weights of the newest checkpoint."""
    saved = checkpoint.load_tensors(newest(run_dir) / f"{stem}.safetensors")
    loaded = module.state_dict()
    assert saved.keys() == loaded.keys()
    assert all(torch.equal(saved[name], loaded[name]) for name in saved)


@pytest.mark.slow
def test_a_clip_run_killed_before_its_last_export_is_exported_when_it_starts_again(
    clip_flags, tmp_path, monkeypatch, capsys
):
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        kill_before_the_export_of(4, patch)
        run(clip_flags)
    stale = ClipModel.load(tmp_path / "run").weights_hash()
    run(clip_flags)
    assert "is finished at step 4" in capsys.readouterr().out
    clip = ClipModel.load(tmp_path / "run")
    assert clip.weights_hash() != stale
    assert_exported(tmp_path / "run", clip, "clip")


@pytest.mark.slow
def test_a_noised_clip_killed_before_its_last_export_is_exported_with_its_clean_one(
    noised_run_flags, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        kill_before_the_export_of(4, patch)
        run(noised_run_flags)
    run(noised_run_flags)
    noised = NoisedClip.load(tmp_path / "run")
    assert_exported(tmp_path / "run", noised, "noised_clip")
    clean = ClipModel.load(tmp_path / "run" / "clean")
    assert clean.weights_hash() == noised.clean().weights_hash()


@pytest.mark.slow
def test_an_export_never_made_is_made_when_the_run_starts_again(clip_flags, tmp_path, monkeypatch):
    with monkeypatch.context() as patch, pytest.raises(KilledError):
        kill_before_the_export_of(2, patch)
        run(clip_flags)
    assert not (tmp_path / "run" / "open_clip_model.safetensors").exists()
    run(clip_flags)
    assert_exported(tmp_path / "run", ClipModel.load(tmp_path / "run"), "clip")


def spoil(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


DAMAGE = {
    "missing": lambda folder: (folder / "open_clip_model.safetensors").unlink(),
    "one bit": lambda folder: spoil(folder / "open_clip_model.safetensors"),
    "no note": lambda folder: (folder / "export.json").unlink(),
    "torn note": lambda folder: (folder / "export.json").write_text('{"manifest": '),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_export_of_a_finished_run_is_written_again(
    damage, tiny_clip, configs, shapes, tmp_path
):
    folder = Path(shutil.copytree(tiny_clip, tmp_path / "run"))
    assert is_current(folder, newest(folder))
    DAMAGE[damage](folder)
    (folder / ".export-abandoned").mkdir()
    assert not is_current(folder, newest(folder))
    flags = ["--config", str(configs / "clip.yaml"), "--data.source", str(shapes)]
    run(["train-clip", *flags, "--run-dir", str(folder)])
    assert is_current(folder, newest(folder))
    assert_exported(folder, ClipModel.load(folder), "clip")
    assert not list(folder.glob(".*"))


def test_the_note_names_the_checkpoint(tiny_clip):
    note = json.loads((tiny_clip / "export.json").read_text())
    assert note["checkpoint"] == newest(tiny_clip).name
    assert "open_clip_model.safetensors" in note["files"]
