"""How many threads, and who has the say."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from tests.helpers.paths import ROOT
from textdiff import threads
from textdiff.cores import Cores, usable_processors
from textdiff.threads import (
    Threads,
    by_launcher,
    choose_threads,
    fitting_threads,
    set_by_launcher,
    settle_threads,
    threads_on,
    variable_of_user,
)

IDLE, HALF = Cores(busy=(0.0, 0.0)), Cores(busy=(0.5, 0.5))  # a busy program moves about


def never() -> Cores:
    raise AssertionError("measured for nothing")


@pytest.mark.parametrize(
    ("cores", "processes", "number"),
    [
        (IDLE, 1, 2),
        (HALF, 1, 1),
        (Cores(busy=(1.0, 0.03)), 1, 1),
        (Cores(busy=(1.0, 1.0)), 1, 1),
        (Cores(busy=(0.2, 0.15)), 1, 2),  # a browser
        (Cores(busy=(0.3, 0.3)), 1, 1),
        (Cores(busy=(1.0, *[0.0] * 7)), 1, 7),
        (Cores(busy=(0.05,) * 16), 1, 15),
        (Cores(busy=(0.0,) * 64, limit=2.0), 1, 2),
        (Cores(busy=(0.0,) * 64, limit=0.5), 1, 1),
        (Cores(busy=(0.0,) * 4, limit=2.0, limit_used=1.0), 1, 1),
        (IDLE, 2, 1),
        (IDLE, 5, 1),
        (Cores(busy=(0.0,) * 4), 2, 2),
        (Cores(busy=(1.0, 0.0, 0.0, 0.0)), 2, 1),
        (Cores(busy=(0.0,) * 5), 2, 2),
        (Cores(busy=(0.0,) * 7), 4, 1),  # four times two would be one too many
    ],
)
def test_as_many_as_fit(cores, processes, number):
    assert fitting_threads(cores, processes) == number


@pytest.mark.parametrize(
    ("given", "line"),
    [
        ({"asked": 3, "variable": ("OMP_NUM_THREADS", 1), "recorded": 3}, "3 (--train.threads)"),
        (
            {"asked": 3, "recorded": 2},
            "3 (--train.threads; 2 before, so it rounds otherwise)",
        ),
        ({"variable": ("OMP_NUM_THREADS", 1)}, "1 (OMP_NUM_THREADS)"),
        (
            {"variable": ("MKL_NUM_THREADS", 1), "recorded": 2},
            "1 (MKL_NUM_THREADS; 2 before, so it rounds otherwise)",
        ),
    ],
)
def test_what_is_given_wins_and_nothing_is_measured(given, line):
    assert str(choose_threads(**given, measure=never)) == f"CPU threads: {line}"


@pytest.mark.parametrize(
    ("cores", "recorded", "processes", "line"),
    [
        (IDLE, None, 1, "2 (2.0 of 2 cores are free)"),
        (HALF, None, 1, "1 (1.0 of 2 cores are free)"),
        (IDLE, None, 2, "1 (2.0 of 2 cores are free for 2 processes)"),
        (IDLE, 2, 1, "2 (as before, for the same bits)"),
        (IDLE, 1, 1, "1 (as before, for the same bits)"),
        (
            HALF,
            2,
            1,
            "2 (as before, for the same bits; but 1.0 of 2 cores are free: expect it to be slow; "
            "OMP_NUM_THREADS=1 is quicker and rounds otherwise)",
        ),
        (HALF, 16, 1, "1 (1.0 of 2 cores are free; 16 before, so it rounds otherwise)"),
        (
            IDLE,
            2,
            2,
            "1 (2.0 of 2 cores are free for 2 processes; 2 before, so it rounds otherwise)",
        ),
        (IDLE, 1, 5, "1 (as before, for the same bits)"),
    ],
)
def test_else_what_is_recorded_or_what_fits(cores, recorded, processes, line):
    chosen = choose_threads(recorded=recorded, processes=processes, measure=lambda: cores)
    assert str(chosen) == f"CPU threads: {line}"


@pytest.mark.parametrize(
    ("environment", "arguments", "launched"),
    [
        ({}, ["accelerate", "launch", "scripts/train.py"], True),
        ({"OMP_NUM_THREADS": "1"}, ["accelerate", "launch", "scripts/train.py"], False),
        ({}, ["accelerate", "launch", "--num_cpu_threads_per_process", "4", "x.py"], False),
        ({}, ["accelerate", "launch", "--num-cpu-threads-per-process=4", "x.py"], False),
        ({}, ["torchrun", "--nproc_per_node", "2", "x.py"], True),
    ],
)
def test_a_launchers_own_number_is_not_the_users(environment, arguments, launched):
    assert by_launcher("OMP_NUM_THREADS", environment, arguments) == launched


def test_the_environment_is_the_users_without_a_launcher(monkeypatch):
    for name in ("ACCELERATE_MIXED_PRECISION", "LOCAL_WORLD_SIZE", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert variable_of_user() == ("OMP_NUM_THREADS", torch.get_num_threads())
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert variable_of_user() is None
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert not set_by_launcher("OMP_NUM_THREADS")  # it is not set at all


@pytest.fixture
def restored():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_a_command_on_the_cpu_says_what_it_chose_and_uses_it(monkeypatch, capsys, restored):
    monkeypatch.setattr(threads, "variable_of_user", lambda: None)
    monkeypatch.setattr(threads, "choose_threads", lambda **given: Threads(3, f"{given}"))
    settle_threads("cpu", recorded=2)
    assert torch.get_num_threads() == threads_on("cpu") == 3
    assert capsys.readouterr() == ("", "CPU threads: 3 ({'variable': None, 'recorded': 2})\n")


def test_on_a_gpu_nothing_is_measured_or_said(monkeypatch, capsys):
    monkeypatch.setattr(threads, "choose_threads", lambda **_: never())
    settle_threads("cuda")
    assert threads_on("cuda") is None
    assert capsys.readouterr() == ("", "")


def without_variables() -> dict[str, str]:
    given = {**os.environ, "PYTHONPATH": str(ROOT)}
    return {name: value for name, value in given.items() if name not in threads.VARIABLES}


BUSY = "print('busy', flush=True)\nwhile True: pass"
CHOICE = "from textdiff.threads import choose_threads; print(choose_threads().number)"


@pytest.mark.slow
@pytest.mark.skipif(len(usable_processors()) < 2, reason="one core: one thread anyway")
def test_beside_a_busy_program_there_are_fewer_than_cores():
    with subprocess.Popen(
        [sys.executable, "-c", BUSY], stdout=subprocess.PIPE, text=True
    ) as program:
        try:
            assert program.stdout is not None
            assert program.stdout.readline() == "busy\n"
            chosen = subprocess.check_output(
                [sys.executable, "-c", CHOICE], env=without_variables()
            )
        finally:
            program.kill()
    assert 1 <= int(chosen) < len(usable_processors())


LAUNCHED = "from textdiff.threads import variable_of_user; print('the user:', variable_of_user())"


@pytest.mark.slow
@pytest.mark.parametrize("users", [None, "1"])
def test_accelerates_default_is_told_from_the_users_number(tmp_path, users):
    script = tmp_path / "script.py"
    script.write_text(LAUNCHED)
    environment = without_variables() | {"HF_HOME": str(tmp_path)}
    if users:
        environment["OMP_NUM_THREADS"] = users
    done = subprocess.run(
        [sys.executable, "-m", "accelerate.commands.launch", str(script)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    expected = ("OMP_NUM_THREADS", int(users)) if users else None
    assert f"the user: {expected}\n" in done.stdout, done.stderr
