"""One process at a time, whatever becomes of the others."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from tests.helpers.paths import ROOT
from textdiff.locks import HeldError, Holder, born, holder_of, is_alive, locked

HOLD = """
import sys, time
from pathlib import Path
from textdiff.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def other(tmp_path):
    """Another process that holds the lock of tmp_path / "lock"."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "lock")],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_it_says_who_holds_it_and_is_gone_afterwards(tmp_path):
    with locked(tmp_path / "lock"):
        holder = holder_of(tmp_path / "lock")
        assert (holder.pid, holder.host) == (os.getpid(), socket.gethostname())
        assert is_alive(holder)
    assert list(tmp_path.iterdir()) == []


def test_a_second_one_is_told_who(tmp_path, other):
    said = rf"process {other.pid} on {socket.gethostname()}, since"
    with pytest.raises(HeldError, match=said), locked(tmp_path / "lock"):
        pass
    assert (tmp_path / "lock").exists()


def test_a_killed_holder_locks_nobody_out(tmp_path, other):
    other.kill()
    other.wait()
    assert (tmp_path / "lock").exists()
    with locked(tmp_path / "lock"):
        assert holder_of(tmp_path / "lock").pid == os.getpid()


def test_who_waits_gets_it_once_it_is_free(tmp_path, other):
    start = time.monotonic()
    threading.Timer(0.3, other.kill).start()
    with locked(tmp_path / "lock", wait=True):
        assert time.monotonic() - start >= 0.3
        assert other.wait() == -9


COUNT = """
import sys, time
from pathlib import Path
from textdiff.locks import locked
folder = Path(sys.argv[1])
for _ in range(50):
    with locked(folder / "lock", wait=True):
        number = int((folder / "count").read_text())
        (folder / "count").write_text(str(number + 1))
"""


def test_no_two_are_inside_together_though_the_file_comes_and_goes(tmp_path):
    (tmp_path / "count").write_text("0")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", COUNT, str(tmp_path)]
    started = [subprocess.Popen(command, env=environment) for _ in range(4)]
    assert [process.wait() for process in started] == [0, 0, 0, 0]
    assert (tmp_path / "count").read_text() == "200"


@pytest.fixture
def no_flock(monkeypatch):
    """A file system that has no such locks."""

    def refuse(*_arguments):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)


def say(file, **changes) -> None:
    now = {"pid": os.getpid(), "host": socket.gethostname(), "started": "2026-01-01 00:00:00 UTC"}
    now = {**now, **changes}
    now.setdefault("born", born(now["pid"]) if isinstance(now["pid"], int) else "")
    file.write_text(json.dumps(now))


def test_without_such_locks_a_living_holder_is_known_by_its_number(tmp_path, no_flock, other):
    say(tmp_path / "lock", pid=other.pid)
    with pytest.raises(HeldError), locked(tmp_path / "lock"):
        pass


@pytest.mark.parametrize(
    "changes",
    [{"pid": 2**22 + 1}, {"born": "another boot 12"}, {"pid": "none"}, {"born": ""}],
    ids=["no such process", "its number is another's now", "no number", "an earlier version"],
)
def test_without_such_locks_one_that_ended_is_passed_over(tmp_path, no_flock, changes):
    say(tmp_path / "lock", **changes)
    with locked(tmp_path / "lock"):
        assert holder_of(tmp_path / "lock").pid == os.getpid()


def test_without_such_locks_no_two_are_inside_together(tmp_path):
    """By the same count as with them."""
    (tmp_path / "count").write_text("0")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    quick = "locks.fcntl, locks.PAUSE = None, 0.02\nfor _ in range(20)"
    without = COUNT.replace("for _ in range(50)", quick)
    without = without.replace("import sys, time", "import sys, time\nfrom textdiff import locks")
    command = [sys.executable, "-c", without, str(tmp_path)]
    started = [subprocess.Popen(command, env=environment) for _ in range(4)]
    assert [process.wait() for process in started] == [0, 0, 0, 0]
    assert (tmp_path / "count").read_text() == "80"
    assert [path.name for path in tmp_path.iterdir()] == ["count"]


def test_the_clock_and_its_time_zone_do_not_matter(tmp_path, no_flock, other, monkeypatch):
    say(tmp_path / "lock", pid=other.pid, started="2001-01-01 00:00:00 UTC")
    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    with pytest.raises(HeldError), locked(tmp_path / "lock"):
        pass
    monkeypatch.delenv("TZ")
    time.tzset()


def test_without_such_locks_one_on_another_machine_counts_as_alive(tmp_path, no_flock):
    say(tmp_path / "lock", host="elsewhere")
    with pytest.raises(HeldError, match="on elsewhere"), locked(tmp_path / "lock"):
        pass


def test_a_place_that_cannot_be_written_is_an_error_of_the_disk(tmp_path):
    with pytest.raises(FileNotFoundError), locked(tmp_path / "none" / "lock"):
        pass


def test_a_holder_says_what_one_reads():
    assert str(Holder(7, "node", "2026-01-01 00:00:00")) == (
        "process 7 on node, since 2026-01-01 00:00:00"
    )
