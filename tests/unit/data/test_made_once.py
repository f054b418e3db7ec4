"""Folders of the cache: made by one, whole or not there, nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.paths import ROOT
from textdiff.data.made_once import make_once

# each of several processes adds a line to a file when it makes the folder
MAKE = """
import sys, time
from pathlib import Path
from textdiff.data.made_once import make_once
root = Path(sys.argv[1])

def make(folder):
    with (root / "made").open("a") as file:
        file.write("once\\n")
    time.sleep(float(sys.argv[2]))
    (folder / "content").write_text("whole")

print("started", flush=True)
make_once(root / "cache" / "set", make)
assert (root / "cache" / "set" / "content").read_text() == "whole"
"""


def start(root: Path, seconds: float) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", MAKE, str(root), str(seconds)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def fill(folder: Path) -> None:
    (folder / "content").write_text("whole")


def never(_folder: Path) -> None:
    raise AssertionError("made again")


def test_it_is_made_unless_it_is_there(tmp_path):
    make_once(tmp_path / "cache" / "set", fill)
    make_once(tmp_path / "cache" / "set", never)
    assert names(tmp_path / "cache") == ["set"]


def test_a_failure_leaves_nothing(tmp_path):
    with pytest.raises(AssertionError):
        make_once(tmp_path / "set", never)
    assert names(tmp_path) == []


def test_several_that_start_together_make_it_once(tmp_path):
    started = [start(tmp_path, 0.5) for _ in range(3)]
    assert [process.wait() for process in started] == [0, 0, 0]
    assert (tmp_path / "made").read_text() == "once\n"
    assert names(tmp_path / "cache") == ["set"]


@pytest.mark.parametrize("name", ["set", "other"])
def test_what_a_killed_process_had_begun_is_removed(tmp_path, name):
    process = start(tmp_path, 600)
    while not (tmp_path / "made").exists():
        assert process.poll() is None
    process.kill()
    process.communicate()
    assert len(names(tmp_path / "cache")) == 2  # staged folder and lock
    make_once(tmp_path / "cache" / name, fill)
    assert names(tmp_path / "cache") == [name]


def test_what_another_is_making_stays(tmp_path):
    process = start(tmp_path, 600)
    while not (tmp_path / "made").exists():
        assert process.poll() is None
    before = names(tmp_path / "cache")
    make_once(tmp_path / "cache" / "other", fill)
    assert names(tmp_path / "cache") == [*before, "other"]
    process.kill()
    process.communicate()


def test_what_else_lies_there_stays(tmp_path):
    for name in (".hidden-folder", ".features", "plain-0123abcd"):
        (tmp_path / name).mkdir()
    (tmp_path / ".file-0123abcd").write_text("")
    make_once(tmp_path / "set", fill)
    assert len(names(tmp_path)) == 5
