"""A training whose launcher was ended by a signal saves itself and ends, too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from functools import partial

import psutil
import pytest

from tests.helpers.paths import ROOT
from textdiff import checkpoint
from textdiff.errors import StoppedBySignalError
from textdiff.stopping import Interrupted, interruptible
from textdiff.training import launcher
from textdiff.training.launcher import FIRST, LAUNCHED, Launchers, watch_launchers
from textdiff.training.signals import stop_on_signal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are a matter of POSIX")


@pytest.fixture(autouse=True)
def _launched_by_nobody(monkeypatch):
    monkeypatch.setattr(launcher, "PAUSE", 0.0)
    monkeypatch.setattr(launcher._Noted, "processes", None)
    for name in (FIRST, *LAUNCHED):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def sleeper():
    """A process that is called like a launcher."""
    program = [sys.executable, "-c", "import time; time.sleep(600)", "torch.distributed.run"]
    process = subprocess.Popen(program)
    yield process
    process.kill()
    process.wait()


def test_a_process_started_by_hand_may_outlive_its_parent(monkeypatch):
    launchers = Launchers()
    monkeypatch.setattr(os, "getppid", lambda: 1)
    assert not launchers.gone()


@pytest.mark.parametrize("name", LAUNCHED)
def test_the_end_of_a_launcher_is_seen_though_nobody_asked_for_its_exit_code(
    monkeypatch, sleeper, name
):
    monkeypatch.setenv(name, "1")
    monkeypatch.setattr(os, "getppid", lambda: sleeper.pid)
    launchers = Launchers()
    assert not launchers.gone()
    sleeper.kill()
    while psutil.Process(sleeper.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert launchers.gone()
    sleeper.wait()
    assert launchers.gone()


def test_the_first_launcher_of_two_is_watched_too(monkeypatch, sleeper):
    monkeypatch.setenv(LAUNCHED[0], "no")
    monkeypatch.setenv(FIRST, str(sleeper.pid))
    launchers = Launchers()
    assert not launchers.gone()
    sleeper.kill()
    sleeper.wait()
    assert launchers.gone()
    assert Launchers().gone()  # it was gone before the first look


def test_a_parent_that_is_no_launcher_is_not_watched(monkeypatch):
    """A shell passes on the variables that it was started with."""
    monkeypatch.setenv(LAUNCHED[0], "no")
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    monkeypatch.setattr(os, "getppid", lambda: other.pid)
    launchers = Launchers()
    other.kill()
    other.wait()
    assert not launchers.gone()


def test_one_that_ends_before_the_loop_interrupts_as_a_signal_does(monkeypatch, sleeper):
    """And is known afterwards: its number says nothing any more."""
    monkeypatch.setenv(LAUNCHED[0], "no")
    monkeypatch.setattr(os, "getppid", lambda: sleeper.pid)
    with pytest.raises(Interrupted), interruptible():
        watch_launchers()
        sleeper.kill()
        sleeper.wait()
        time.sleep(30)
    monkeypatch.setattr(os, "getppid", lambda: 1)
    assert Launchers().gone()


def test_one_that_ends_when_a_run_is_being_stopped_does_not_interrupt(monkeypatch, sleeper):
    monkeypatch.setenv(LAUNCHED[0], "no")
    monkeypatch.setattr(os, "getppid", lambda: sleeper.pid)
    asked = []
    monkeypatch.setattr(launcher, "interrupt", lambda: asked.append(True))
    watch_launchers()
    with pytest.raises(StoppedBySignalError), stop_on_signal():
        raise StoppedBySignalError("stopped at step 3")
    sleeper.kill()
    sleeper.wait()
    wait_until(lambda: "launchers" not in {thread.name for thread in threading.enumerate()})
    assert asked == []


def trained_ids(folder) -> list[psutil.Process]:
    """Processes that train into `folder`."""
    found = []
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
            if str(folder) in words and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.Error:
            continue
    return found


def wait_until(condition) -> None:
    deadline = time.monotonic() + 180
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


# scripts/train_clip.py, its exit code noted: nobody waits for it once the launcher has gone
NOTING = """
import os, sys
from textdiff.commands.cli import main
try:
    main(["train-clip", *sys.argv[1:]])
except SystemExit as end:
    with open(os.environ["CODES"], "a") as codes:
        codes.write(f"{end.code}\\n")
    raise
"""


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_a_signal_to_accelerate_launch_alone_saves_and_ends_all(
    tmp_path, configs, shapes, processes, number
):
    run_dir = tmp_path / "run"
    flags = ["--config", configs / "clip.yaml", "--data.source", shapes, "--run-dir", run_dir]
    never = ["--train.steps", "1000000", "--train.eval-every", "1000000"]
    accelerate = [sys.executable, "-m", "accelerate.commands.launch", "--cpu"]
    how = ["--num_processes", processes, "--num_machines", "1", "--mixed_precision", "no"]
    how += ["--dynamo_backend", "no", "--main_process_port", "0"]
    codes = tmp_path / "codes"
    noting = tmp_path / "train_clip.py"
    noting.write_text(NOTING)
    where = {"PYTHONPATH": str(ROOT), "HF_HOME": str(tmp_path / "hf"), "CODES": str(codes)}
    started = subprocess.Popen(
        list(map(str, [*accelerate, *how, noting, *flags, *never])),
        cwd=ROOT,
        env={**os.environ, **where},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        # a shell starts what runs in its background without it, and so these tests
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    try:
        log = run_dir / "metrics.jsonl"
        wait_until(lambda: log.exists() and '"loss"' in log.read_text())
        started.send_signal(number)
        started.wait(timeout=120)
        wait_until(lambda: not trained_ids(run_dir))
    finally:
        for process in trained_ids(run_dir):
            process.kill()
        started.wait()
    folder, damaged = checkpoint.newest_good(run_dir / "checkpoints")
    assert folder is not None
    assert damaged == []
    assert codes.read_text().split() == ["75"] * processes
