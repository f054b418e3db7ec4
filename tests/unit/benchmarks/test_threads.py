"""The benchmark of threads runs at a small size, and ends what it started."""

from __future__ import annotations

import importlib
import itertools
import json
import subprocess

import pytest
import torch

from tests.helpers.command import TINY_UNET
from tests.helpers.paths import ROOT
from textdiff.cores import measure_cores


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("threads")


@pytest.mark.slow
def test_a_step_alone_and_beside_a_busy_process(bench, monkeypatch, tmp_path, capsys):
    """Counts of threads are noted and not set: two that meet at each operation take seconds a step
    where other tests hold the cores."""
    started, counts = [], []
    monkeypatch.setattr(torch, "set_num_threads", counts.append)

    class Noted(subprocess.Popen):
        def __init__(self, *given, **more):
            super().__init__(*given, **more)
            started.append(self)

    monkeypatch.setattr("subprocess.Popen", Noted)
    (tmp_path / "tiny.yaml").write_text(TINY_UNET)
    flags = ["--recipe", str(tmp_path / "tiny.yaml"), "--rounds", "2", "--steps", "1"]
    monkeypatch.setattr("sys.argv", ["threads.py", *flags, "--json", str(tmp_path / "a.json")])
    bench.main()
    found = json.loads((tmp_path / "a.json").read_text())
    for by_threads in found["seconds"].values():
        assert {"1", "chosen"} <= by_threads.keys()
        assert all(len(values) == 2 and min(values) > 0 for values in by_threads.values())
    assert set(counts) == {
        1,
        measure_cores(0.0).allowed,
        *itertools.chain(*found["chosen"].values()),
    }
    assert list(found["chosen"]) == ["alone", "beside 1 busy"]
    assert found["ratios"]["alone"]["chosen"]["median"] == 1
    assert "times as long; aim 1.6" in capsys.readouterr().out
    assert len(started) == 2
    assert all(process.poll() is not None for process in started)
