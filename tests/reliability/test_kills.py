"""Trainings that are killed by SIGKILL end as if they had not been: benchmarks/crash.py, in short.

In full, over all tasks and every file event, it takes about an hour (1,300 runs; the 137 of one
task took 5 minutes); what was done of it stands in benchmarks/README.md. That it sees what is wrong
is tested here, on files that are.
"""

from __future__ import annotations

import importlib
import json
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.helpers.command import python
from tests.helpers.paths import ROOT


@pytest.mark.slow
def test_every_kill_is_survived_to_the_byte(tmp_path):
    done = python("benchmarks/crash.py", "--short", "--json", tmp_path / "crash.json")
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "crash.json").read_text())["tasks"]
    assert {result["task"] for result in found} == {"CLIP", "VAE"}
    for result in found:
        assert result["kills"]["event"] >= 4
        assert result["events"] > 60  # of a save of three files or more, pruning and an export
        assert (result["differing"], result["leftovers"], result["failures"]) == ([], [], [])


@pytest.fixture
def kills(monkeypatch):
    """benchmarks/crash_kills.py"""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("crash_kills")


@pytest.fixture
def run_folder(tmp_path) -> Path:
    """What stands for that of a run."""
    step = tmp_path / "run" / "checkpoints" / "step-000008"
    step.mkdir(parents=True)
    (step / "unet.safetensors").write_bytes(b"weights")
    (step / "state.json").write_text('{"step": 8, "seconds": 1.5, "windows": [{"waited": 1}]}')
    rows = [{"step": 3, "loss": 0.5, "seconds": 0.1}, {"step": 4, "held_out": 1.0}]
    (tmp_path / "run" / "metrics.jsonl").write_text("".join(f"{json.dumps(r)}\n" for r in rows))
    return tmp_path / "run"


class Failing:
    """Attempts that end with these codes, one after the other; the last one is that of the rest."""

    def __init__(self, *codes: int | None) -> None:
        self.codes = list(codes)

    def __call__(self, kill_before: object = None, kill_after: object = None) -> SimpleNamespace:
        code = self.codes.pop(0) if len(self.codes) > 1 else self.codes[0]
        return SimpleNamespace(code=code, events=9, seconds=0.0)


@pytest.mark.parametrize(
    ("kind", "codes", "failures"),
    [
        ("random", [None, 4, 0], 1),  # the process that mends fails, the next one does not
        ("random", [None, None, 0], 0),
        ("random", [None, None, 1, 0], 1),
        ("events", [0, 1, None, 0], 1),  # the first: without a kill
        ("events", [0, None, 4, 0], 1),
        ("events", [0, None, 0], 0),
    ],
)
def test_a_process_that_fails_instead_of_being_killed_is_noted(
    kills, tmp_path, monkeypatch, kind, codes, failures
):
    crash = importlib.import_module("crash")
    job = SimpleNamespace(name="job", write=lambda root: root / "job.yaml")
    trials = crash.Trials(job, tmp_path, random.Random(0))
    trials.duration = 1.0
    monkeypatch.setattr(trials, "attempt", Failing(*codes))
    monkeypatch.setattr(trials, "_compare", lambda where: None)
    (tmp_path / "almost").mkdir()
    if kind == "random":
        trials.random_kills(len(codes) - 1)
    else:
        trials.every_event(at_most=1)
    assert len(trials.result.failures) == failures


def append_row(file: Path) -> None:
    file.write_text(file.read_text() + '{"step": 4, "held_out": 1.0}\n')


def edit(before: str, after: str) -> Callable[[Path], None]:
    def change(file: Path) -> None:
        content = file.read_text()
        assert before in content
        file.write_text(content.replace(before, after))

    return change


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("checkpoints/step-000008/unet.safetensors", edit("w", "v")),
        ("checkpoints/step-000008/unet.safetensors", Path.unlink),
        ("checkpoints/step-000008/state.json", edit('"step": 8', '"step": 7')),
        ("metrics.jsonl", append_row),
        ("metrics.jsonl", edit("0.5", "0.25")),
    ],
    ids=["a bit", "no weights", "another step", "a second row", "another mean"],
)
def test_what_is_wrong_is_seen(kills, run_folder, name, fault):
    expected = kills.fingerprint(run_folder)
    fault(run_folder / name)
    assert kills.differing(expected, kills.fingerprint(run_folder)) == ([name], [])


def test_what_is_too_much_is_seen_and_what_a_clock_said_is_not(kills, run_folder):
    expected = kills.fingerprint(run_folder)
    edit("0.1", "0.2")(run_folder / "metrics.jsonl")
    edit("1.5", "2.5")(run_folder / "checkpoints" / "step-000008" / "state.json")
    (run_folder / ".export-0123").write_text("")
    assert kills.differing(expected, kills.fingerprint(run_folder)) == ([], [".export-0123"])


def write_and_rename(folder: Path) -> None:
    (folder / "new").write_text("whole")
    (folder / "new").rename(folder / "file")
    (folder / "file").chmod(0o600)


@pytest.mark.parametrize(("number", "left"), [(1, []), (2, ["new"]), (3, ["file"]), (4, ["file"])])
def test_a_process_is_killed_before_the_event_that_was_asked_for(kills, tmp_path, number, left):
    folder = tmp_path / "written"
    folder.mkdir()
    log = tmp_path / "log"
    ended = kills.forked(lambda: write_and_rename(folder), log, kill_before=number)
    assert ended.code == (None if number <= 3 else 0)
    assert ended.events == (0 if number <= 3 else 3)
    assert [path.name for path in folder.iterdir()] == left


def test_the_codes_of_forked_processes_are_told(kills, tmp_path):
    def fail() -> None:
        raise ZeroDivisionError("a bug")

    assert kills.forked(fail, tmp_path / "log").code == 1
    assert "ZeroDivisionError: a bug" in (tmp_path / "log").read_text()
    killed = kills.forked(lambda: os.kill(os.getpid(), signal.SIGKILL), tmp_path / "log")
    assert killed.code is None
