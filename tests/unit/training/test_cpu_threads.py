"""The threads of a training: what is recorded, what resumes, what several processes agree on."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import torch

from textdiff import checkpoint
from textdiff.commands.cli import run
from textdiff.cores import Cores
from textdiff.threads import choose_threads
from textdiff.training import cpu_threads
from textdiff.training.config import TrainConfig
from textdiff.training.cpu_threads import processes_here, recorded_threads, use_training_threads


class Processes:
    """What accelerate says of them, this one being the first."""

    def __init__(self, count: int = 1, device: str = "cpu"):
        self.num_processes, self.device, self.waited = count, torch.device(device), 0

    def wait_for_everyone(self) -> None:
        self.waited += 1


@pytest.fixture
def machine(monkeypatch):
    """Four cores of which one is busy, nothing in the environment; torch's own number stays."""
    used = []
    monkeypatch.setattr(cpu_threads, "variable_of_user", lambda: None)
    monkeypatch.setattr(cpu_threads, "lowest", lambda _processes, value: value)
    monkeypatch.setattr(cpu_threads, "use_threads", lambda threads: used.append(threads.number))
    found = Cores(busy=(1.0, 0.0, 0.0, 0.0))
    monkeypatch.setattr(
        cpu_threads, "choose_threads", partial(choose_threads, measure=lambda: found)
    )
    return used


def saved(folder: Path, step: int, **state: object) -> Path:
    checkpoint.save_checkpoint(folder, step, {}, state, keep=9)
    return folder / f"step-{step:06d}"


def test_a_fresh_training_takes_what_is_free(machine, tmp_path):
    threads = use_training_threads(Processes(), TrainConfig(), tmp_path)
    assert str(threads) == "CPU threads: 3 (3.0 of 4 cores are free)"
    assert machine == [3]


def test_processes_wait_for_each_other_and_share_the_cores(machine, tmp_path, monkeypatch):
    for name in cpu_threads.ON_THIS_MACHINE:
        monkeypatch.delenv(name, raising=False)
    processes = Processes(2)
    use_training_threads(processes, TrainConfig(), tmp_path)
    assert (machine, processes.waited) == ([1], 1)


def test_all_processes_have_the_least_of_them(machine, tmp_path, monkeypatch):
    monkeypatch.setattr(cpu_threads, "lowest", lambda _processes, value: value - 1)
    threads = use_training_threads(Processes(), TrainConfig(), tmp_path)
    assert machine == [2]
    assert "another process has fewer" in str(threads)


def test_a_resumed_run_keeps_its_number_unless_told(machine, tmp_path):
    saved(tmp_path, 3, threads=2)
    use_training_threads(Processes(), TrainConfig(), tmp_path)
    use_training_threads(Processes(), TrainConfig(threads=4), tmp_path)
    use_training_threads(Processes(), TrainConfig(max_minutes=5), tmp_path)  # no bits to keep
    assert machine == [2, 4, 3]


def test_on_a_gpu_only_what_is_asked_for_happens(machine, tmp_path):
    assert use_training_threads(Processes(device="cuda"), TrainConfig(), tmp_path) is None
    assert machine == []
    use_training_threads(Processes(device="cuda"), TrainConfig(threads=2), tmp_path)
    assert machine == [2]


@pytest.mark.parametrize(("state", "number"), [({"threads": 2}, 2), ({"threads": None}, None)])
def test_what_a_checkpoint_says(tmp_path, state, number):
    assert recorded_threads(tmp_path) is None
    saved(tmp_path, 3, threads=7)
    saved(tmp_path, 5, **state)
    assert recorded_threads(tmp_path) == number


@pytest.mark.parametrize("text", ["{", "[]", "{}", "\0", None])
def test_a_damaged_state_is_passed_over(tmp_path, text):
    saved(tmp_path, 3, threads=7)
    state = saved(tmp_path, 5, threads=2) / "state.json"
    if text is None:
        state.unlink()
    else:
        state.write_text(text)
    assert recorded_threads(tmp_path) == 7


@pytest.mark.parametrize(
    ("environment", "count"),
    [
        ({}, 8),
        ({"LOCAL_WORLD_SIZE": "4"}, 4),
        ({"OMPI_COMM_WORLD_LOCAL_SIZE": "2"}, 2),
        ({"LOCAL_WORLD_SIZE": "16"}, 8),
        ({"LOCAL_WORLD_SIZE": "many"}, 8),
    ],
)
def test_processes_on_this_machine(monkeypatch, environment, count):
    for name in cpu_threads.ON_THIS_MACHINE:
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert processes_here(8) == count


def test_checkpoints_of_a_run_say_what_it_was_trained_with(tiny_run):
    newest = next(checkpoint.checkpoints(tiny_run / "checkpoints"))
    assert json.loads((newest / "state.json").read_text())["threads"] == 1


@pytest.mark.slow
def test_a_training_says_its_threads_and_a_resumed_one_has_the_same(
    tmp_path, configs, shapes, capsys, monkeypatch
):
    monkeypatch.setattr(cpu_threads, "variable_of_user", lambda: None)
    flags = ["train-clip", "--config", str(configs / "clip.yaml"), "--data.source", str(shapes)]
    flags += ["--run-dir", str(tmp_path / "run")]
    before = torch.get_num_threads()
    try:
        run([*flags, "--train.steps", "1", "--train.threads", "2"])
        assert "CPU threads: 2 (--train.threads)" in capsys.readouterr().out
        torch.set_num_threads(1)
        idle = partial(choose_threads, measure=lambda: Cores(busy=(0.0, 0.0)))
        monkeypatch.setattr(cpu_threads, "choose_threads", idle)
        run([*flags, "--train.steps", "2"])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert "CPU threads: 2 (as before, for the same bits)" in capsys.readouterr().out
    assert recorded_threads(tmp_path / "run" / "checkpoints") == 2
