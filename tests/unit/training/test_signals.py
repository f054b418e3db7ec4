"""Signals to the whole job: the run is saved, its workers serve it to the end and outlive nothing.

Each run is a process group of its own, as `timeout`, systemd and a terminal start it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.helpers.paths import ROOT
from textdiff import checkpoint, stopping
from textdiff.stopping import STOP_SIGNALS, Interrupted
from textdiff.training.signals import stop_on_signal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals are a matter of POSIX")
WORKERS = 2


def wait_until(condition: Callable[[], object], process: subprocess.Popen | None = None) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert process is None or process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.01)


@contextmanager
def training(configs: Path, shapes: Path, folder: Path) -> Iterator[subprocess.Popen]:
    """A long run of train-clip with workers. Its descendants are killed in the end."""
    flags = ["--config", configs / "clip.yaml", "--data.source", shapes, "--run-dir", folder]
    never = ["--train.steps", "1000000", "--train.checkpoint-every", "1000000"]
    more = [*never, "--train.eval-every", "1000000", "--train.workers", str(WORKERS)]
    process = subprocess.Popen(
        [sys.executable, "-m", "textdiff", "train-clip", *map(str, [*flags, *more])],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        for child in psutil.process_iter():
            if child.pid != os.getpid() and in_group(child, process.pid):
                child.kill()
        process.wait()


def in_group(process: psutil.Process, group: int) -> bool:
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, PermissionError, psutil.Error):
        return False


def workers_of(process: subprocess.Popen) -> list[psutil.Process]:
    """Of this run's group but itself, those that multiprocessing spawned."""
    found = []
    for other in psutil.process_iter():
        try:
            if other.pid != process.pid and in_group(other, process.pid):
                found += [other] if "spawn_main" in " ".join(other.cmdline()) else []
        except psutil.Error:
            continue
    return found


def has_trained(folder: Path) -> bool:
    """Whether a step was logged, which is not the first line: what was evaluated before it is."""
    file = folder / "metrics.jsonl"
    return file.exists() and '"loss"' in file.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGUSR1"])
def test_a_signal_to_all_processes_saves_a_checkpoint(tmp_path, configs, shapes, name):
    """SIGTERM killed the loader's workers first: exit code 1, and nothing saved."""
    with training(configs, shapes, tmp_path / "run") as process:
        wait_until(lambda: has_trained(tmp_path / "run"), process)
        os.killpg(process.pid, getattr(signal, name))
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 75, output
        assert "Traceback" not in output
        folder, damaged = checkpoint.newest_good(tmp_path / "run" / "checkpoints")
        assert folder is not None
        assert damaged == []
        wait_until(lambda: not workers_of(process))


@pytest.mark.slow
def test_a_signal_while_workers_start_does_not_reach_them(tmp_path, configs, shapes):
    """As soon as there is a worker process, long before it has imported anything."""
    with training(configs, shapes, tmp_path / "run") as process:
        wait_until(lambda: workers_of(process), process)
        os.killpg(process.pid, signal.SIGTERM)
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 75, output
        assert "Traceback" not in output


@pytest.mark.slow
@pytest.mark.parametrize("when", ["while they start", "while they work"])
def test_workers_end_when_their_parent_has_gone(tmp_path, configs, shapes, when):
    with training(configs, shapes, tmp_path / "run") as process:
        if when == "while they work":
            wait_until(lambda: has_trained(tmp_path / "run"), process)
        wait_until(lambda: len(workers_of(process)) == WORKERS, process)
        process.kill()
        process.wait()
        wait_until(lambda: not workers_of(process))


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_every_stop_signal_is_a_request_to_save(number):
    previous = signal.getsignal(number)
    with stop_on_signal() as stop:
        assert not stop.received
        signal.raise_signal(number)
        assert stop.received
    assert signal.getsignal(number) == previous


def test_one_request_may_come_twice():
    """`timeout` signals its child and then the group that the child is in."""
    with stop_on_signal() as stop:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert stop.received
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_impatience_ends_the_run(monkeypatch):
    monkeypatch.setattr(stopping, "ONE_REQUEST", 0.0)
    with pytest.raises(KeyboardInterrupt), stop_on_signal() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.received
        signal.raise_signal(signal.SIGINT)


def test_what_nohup_ignores_stays_ignored():
    previous = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signal() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop.received
    finally:
        signal.signal(signal.SIGHUP, previous)


def test_an_evaluation_is_given_up_and_a_step_is_not():
    with stop_on_signal() as stop:
        with pytest.raises(Interrupted, match="SIGTERM"), stop.interruptible():
            signal.raise_signal(signal.SIGTERM)
        assert stop.received
        signal.raise_signal(signal.SIGTERM)  # the same request, as `timeout` sends it
        with stop.interruptible():
            signal.raise_signal(signal.SIGTERM)


def test_a_signal_after_the_last_look_gives_the_evaluation_up_and_once():
    with stop_on_signal() as stop:
        assert not stop.received
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Interrupted, match="SIGTERM"), stop.interruptible():
            pytest.fail("it was begun")
        with stop.interruptible():
            pass
        assert stop.received
