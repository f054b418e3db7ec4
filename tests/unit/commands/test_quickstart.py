"""The parts of `textdiff quickstart` that start nothing."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from textdiff.commands import quickstart


@pytest.fixture
def finished(tmp_path) -> Path:
    """The folder of a quickstart, as far as its last words need it."""
    pairs = [["apple", "blue"], ["car", "red"], ["star", "green"]]
    report = {"combinations": {"unseen_pairs": pairs}}
    (tmp_path / quickstart.DATA).write_text(json.dumps(report))
    return tmp_path


def test_the_memory_of_the_largest_step():
    pytest.importorskip("resource")
    subprocess.run([sys.executable, "-c", "b'.' * 2**26"], check=True)
    assert 2**26 < quickstart.peak_of_steps() < 2**40


def test_without_the_module_that_windows_lacks_only_the_memory_is_left_out(finished, monkeypatch):
    monkeypatch.setitem(sys.modules, "resource", None)
    there = runpy.run_path(quickstart.__file__)
    assert there["peak_of_steps"]() is None
    assert "Done in 2.0 minutes.\n" in there["closing"](finished, 120.0, None)


def test_the_last_words_with_memory(finished):
    said = quickstart.closing(finished, 90.0, 3 * 2**29)
    assert "Done in 1.5 minutes; the largest step used 1.5 GiB of memory.\n" in said
    assert "--prompt 'a blue apple' 'a red car' 'a green star'" in said
