"""`textdiff ui` typed wrongly: one line that says what would be right."""

from __future__ import annotations

import socket

import pytest

from textdiff import errors
from textdiff.commands.cli import run
from textdiff.errors import CheckpointError, DataError, UsageError


@pytest.mark.parametrize(
    ("flags", "error", "words"),
    [
        ([], UsageError, "nothing to show; give --model, --index or --run"),
        (["--model", "absent"], CheckpointError, "absent does not exist; give a run folder"),
        (["--model", "m", "m"], UsageError, "model names m twice; leave one out"),
        (["--run", "m"], DataError, "--run m: no such folder; give a run folder"),
        (["--index", "m"], DataError, "m is no index: it has no manifest.json"),
        (["--run", "m", "--host", "no.such.host.invalid"], UsageError, "--host no.such.host"),
        (["--run", "m", "--host", "192.0.2.1"], UsageError, "--host 192.0.2.1 --port 0: "),
        (["--run", "m", "--token", "short"], UsageError, "--token: "),
        (["--run", "m", "--token", "with; semicolon"], UsageError, "--token: "),
        (["--run", "m", "--limits.images", "0"], UsageError, "--limits.images: "),
        (["--run", "m", "--max-queue", "none"], UsageError, "--max-queue: "),
        (["--run", "m", "--gallery", "/dev/null"], UsageError, "--gallery /dev/null: "),
    ],
)
def test_wrong_flags(tmp_path, monkeypatch, flags, error, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error) as caught:
        run(["ui", "--port", "0", *flags])
    assert words in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_port_in_use():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"--port {port} is in use; give another, or 0"):
            run(["ui", "--run", "m", "--port", str(port)])


def test_a_missing_package(monkeypatch):
    monkeypatch.setitem(errors.EXTRAS, "ui", {"no_such_module": "no-such-package"})
    with pytest.raises(UsageError, match="textdiff ui needs the package no-such-package: pip"):
        run(["ui", "--run", "m"])
