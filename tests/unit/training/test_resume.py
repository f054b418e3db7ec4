"""A killed run, resumed, ends with the same bits as one that was never stopped."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.helpers.paths import ROOT
from tests.helpers.workers import prepared_once
from textdiff import checkpoint
from textdiff.commands.cli import run

STEPS = "30"  # so many that a kill at step 4 comes before the end, however late


def flags(configs: Path, shapes: Path, clip: Path, folder: Path) -> list[str]:
    return [
        *("train", "--config", str(configs / "unet.yaml"), "--data.source", str(shapes)),
        *("--clip", str(clip), "--run-dir", str(folder), "--train.steps", STEPS),
        *("--unet.dropout", "0.1"),
    ]


def start(arguments: list[str]) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "textdiff", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(folder: Path, process: subprocess.Popen, seconds: float = 120) -> None:
    """Until `folder` exists; the process must still run then."""
    deadline = time.monotonic() + seconds
    while not folder.exists():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline, f"{folder} did not appear"
        time.sleep(0.002)


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    newest = next(checkpoint.checkpoints(folder / "checkpoints"))
    assert newest.name == f"step-{int(STEPS):06d}"
    return {
        f"{stem}/{name}": tensor
        for stem in ("unet", "ema", "optimizer")
        for name, tensor in checkpoint.load_tensors(newest / f"{stem}.safetensors").items()
    }


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, configs, shapes, tiny_clip) -> Path:
    return prepared_once(
        tmp_path_factory,
        "uninterrupted",
        lambda folder: run(flags(configs, shapes, tiny_clip, folder)),
    )


@pytest.fixture(scope="module")
def resumed(tmp_path_factory, configs, shapes, tiny_clip) -> Path:
    """The folder of a run that was killed and resumed, each in a process of its own."""
    return prepared_once(
        tmp_path_factory,
        "resumed",
        lambda folder: kill_and_resume(flags(configs, shapes, tiny_clip, folder), folder),
    )


def kill_and_resume(arguments: list[str], folder: Path) -> None:
    process = start(arguments)
    wait_for(folder / "checkpoints" / "step-000004", process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    stopped_at = next(checkpoint.checkpoints(folder / "checkpoints")).name
    assert "step-000004" <= stopped_at < f"step-{int(STEPS):06d}"

    process = start([*arguments, "--resume", "must"])
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert "resuming from" in output


@pytest.mark.slow
def test_killed_and_resumed_run_has_the_same_bits(uninterrupted, resumed):
    want, got = tensors_of(uninterrupted), tensors_of(resumed)
    assert want.keys() == got.keys()
    different = [name for name in want if not torch.equal(want[name], got[name])]
    assert not different


@pytest.mark.slow
def test_resumed_run_logs_each_step_once(uninterrupted, resumed):
    def losses(folder: Path) -> list[tuple[int, float]]:
        lines = (folder / "metrics.jsonl").read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        return [(row["step"], row["loss"]) for row in rows if "loss" in row]

    assert losses(resumed) == losses(uninterrupted)


@pytest.mark.slow
def test_resumed_run_has_the_same_timeline(uninterrupted, resumed):
    want, got = (folder / "samples" / "timeline.png" for folder in (uninterrupted, resumed))
    assert want.read_bytes() == got.read_bytes()


@pytest.mark.slow
def test_signal_saves_a_checkpoint_and_exits_with_75(tmp_path, configs, shapes, tiny_clip):
    arguments = flags(configs, shapes, tiny_clip, tmp_path / "run")
    many = [*arguments, "--train.steps", "100000", "--train.checkpoint-every", "100000"]
    many += ["--train.eval-every", "100000"]
    process = start(many)
    wait_for(tmp_path / "run" / "metrics.jsonl", process)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 75, output
    assert "stopped by a signal at step" in output
    assert "Traceback" not in output
    folder, damaged = checkpoint.newest_good(tmp_path / "run" / "checkpoints")
    assert folder is not None
    assert damaged == []


@pytest.mark.slow
def test_finished_run_is_left_alone(tmp_path, configs, shapes, tiny_clip, capsys):
    arguments = flags(configs, shapes, tiny_clip, tmp_path / "run")
    arguments[arguments.index(STEPS)] = "2"
    run(arguments)
    before = sorted((tmp_path / "run" / "checkpoints").rglob("*"))
    stamps = [path.stat().st_mtime_ns for path in before]
    capsys.readouterr()
    run(arguments)
    assert "is finished at step 2" in capsys.readouterr().out
    after = sorted((tmp_path / "run" / "checkpoints").rglob("*"))
    assert (before, stamps) == (after, [path.stat().st_mtime_ns for path in after])
