"""A run folder belongs to one run; what killed ones left is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.helpers.command import textdiff
from tests.helpers.paths import ROOT
from textdiff import checkpoint
from textdiff.errors import UsageError
from textdiff.training.run_lock import LOCK, remove_leftovers, run_lock

ALONE = SimpleNamespace(is_main_process=True, num_processes=1)


def test_it_is_gone_afterwards_and_so_is_a_folder_that_nothing_was_written_to(tmp_path):
    with run_lock(tmp_path / "runs" / "a", ALONE):
        assert (tmp_path / "runs" / "a" / LOCK).is_file()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_written_to_stays(tmp_path):
    with run_lock(tmp_path / "runs" / "a", ALONE):
        (tmp_path / "runs" / "a" / "config.yaml").write_text("")
    assert [path.name for path in (tmp_path / "runs" / "a").iterdir()] == ["config.yaml"]


def test_the_others_are_refused_with_the_main_process(tmp_path, monkeypatch):
    monkeypatch.setattr("textdiff.training.run_lock.on_any", lambda _accelerator, _flag: True)
    other = SimpleNamespace(is_main_process=False, num_processes=2)
    with pytest.raises(UsageError, match="in use"), run_lock(tmp_path / "run", other):
        pass
    assert not (tmp_path / "run").exists()


HOLD = """
import sys
from pathlib import Path
from textdiff.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.slow
def test_the_second_run_ends_with_2_and_one_line(tmp_path, configs, shapes):
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run_dir / LOCK)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdout.readline() == "held\n"
    flags = ["--config", configs / "clip.yaml", "--data.source", shapes, "--run-dir", run_dir]
    done = textdiff("train-clip", *flags)
    holder.communicate("")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert f"run folder {run_dir} is in use by process {holder.pid} on " in line
    assert list(run_dir.iterdir()) == []


LEFT = [
    ".export-0123abcd/.saving-x1_y/open_clip_model.safetensors",
    ".config-0123abcd.yaml",
    ".data_files-0123abcd.safetensors",
    ".metrics-0123abcd.jsonl",
    ".noised_clip-0123abcd.safetensors",
    ".mode-0123abcd",
    "checkpoints/.staging-step-000010-0123abcd/unet.safetensors",
    "clip/.saving-abc123/open_clip_config.json",
    "vae/.diffusion_pytorch_model-0123abcd.safetensors",
    "samples/.step-000010-0123abcd.png",
    "samples/timeline/.step-000010-0123abcd.png",
    "samples/.timeline-0123abcd.png",
]
MINE = [
    ".hidden",
    ".git/config",
    ".env-0123abcd",
    ".notes-0123abcd.txt",
    ".unsaved/a",
    "metrics.jsonl",
    "clip/open_clip_config.json",
    "other/.config-0123abcd.yaml",
]


def test_what_killed_runs_left_is_removed_and_nothing_else(tmp_path):
    for name in (*LEFT, *MINE):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    assert len(remove_leftovers(tmp_path)) == len(LEFT)
    files = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    assert files == set(MINE)


def test_a_checkpoint_that_a_killed_run_had_set_aside_comes_back(tmp_path):
    step = checkpoint.save_checkpoint(tmp_path / "checkpoints", 5, {}, {}, keep=2)
    step.rename(step.with_name(f".staging-{step.name}-0123abcd"))
    with run_lock(tmp_path, ALONE):
        checkpoint.verify(step)


def test_a_link_is_removed_and_not_what_it_leads_to(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".export-0123abcd").symlink_to(outside)
    remove_leftovers(Path(tmp_path / "run"))
    assert (outside / "kept").exists()
    assert list((tmp_path / "run").iterdir()) == []
