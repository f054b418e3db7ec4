"""The GPU benchmark at tiny sizes on a CPU: every section ends with its table, whatever fails."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time

import pytest

from tests.helpers.paths import ROOT


@pytest.fixture
def module(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


def bench(module, **runs):
    return module("gpu_workers").Bench(runs)


def measured(module, pool, *names, until=60.0):
    end = time.monotonic() + until
    limits = {"ready_until": end, "until": end}
    return pool.in_turn(list(names), lambda run: True, rounds=3, seconds=0.0, **limits)


def refused():
    raise ValueError("no such | kernel")


def test_what_fails_costs_its_own_row_alone(module):
    pool = module("gpu_workers").Pool("cpu")
    pool.start("some", bench, module=module, works=lambda: None, fails=refused)
    pool.start("none", refused)
    found = measured(module, pool, "some", "none")
    assert len(found["works"]["seconds"]) == 3
    assert found["fails"] == {"error": "ValueError: no such / kernel"}
    assert found["none"] == {"error": "ValueError: no such / kernel"}


def test_two_rounds_are_taken_even_when_time_is_up(module):
    pool = module("gpu_workers").Pool("cpu")
    pool.start("late", bench, module=module, works=lambda: None)
    assert len(measured(module, pool, "late", until=-1.0)["works"]["seconds"]) == 2


@pytest.mark.slow
def test_a_process_that_is_not_ready_or_fails_is_given_up(module):
    workers = module("gpu_workers")
    pool = workers.Pool("cpu")
    pool.workers["broken"] = workers.Apart(int, {"no": "such argument"}, "cpu")
    assert "TypeError" in measured(module, pool, "broken")["broken"]["error"]
    pool.workers["slow"] = workers.Apart(int, {}, "cpu")
    assert measured(module, pool, "slow", until=0.0)["slow"]["error"] == "no answer after 0 s"
    pool.stop()


@pytest.mark.slow
def test_every_section_ends_with_its_table(tmp_path):
    """By the script itself, in a process of its own."""
    command = ["bash", str(ROOT / "benchmarks" / "gpu.sh"), "--smoke", "--out", str(tmp_path)]
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    titles = [line for line in done.stdout.splitlines() if line.startswith("## ")]
    assert [title.split(",")[0].split(" ")[1] for title in titles] == [
        *("Training", "Training", "2", "Guidance", "Contrastive", "Whole"),
    ]
    assert "failed" not in done.stdout
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["about"]["torch"]
    assert '"error"' not in json.dumps(found)
    assert set(found["training, tiny, 16x16, batch 4"]) >= {
        "tiny, 16x16, batch 4: ours, eager",
        "tiny, 16x16, batch 4: ours, compiled",
        "tiny, 16x16, batch 4: diffusers, as its script",
        "tiny, 16x16, batch 4: diffusers, compiled",
    }
    assert found["loop"]["textdiff, 0 workers"]["images_per_second"]["median"] > 0


def test_a_python_that_lacks_packages_is_told_which(tmp_path):
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S -I "$@"\n')
    bare.chmod(0o755)
    command = ["bash", str(ROOT / "benchmarks" / "gpu.sh"), "--smoke"]
    environment = {**os.environ, "PYTHON": str(bare)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "lacks torch, torchvision, open_clip_torch" in done.stderr
