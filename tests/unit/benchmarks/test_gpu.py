"""The GPU benchmark at tiny sizes on a CPU: every section ends with its table, whatever fails."""

from __future__ import annotations

import importlib
import json
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
def test_every_section_ends_with_its_table(module, tmp_path, capsys):
    module("gpu").main(["--smoke", "--out", str(tmp_path)])
    printed = capsys.readouterr().out
    titles = [line for line in printed.splitlines() if line.startswith("## ")]
    assert [title.split(",")[0].split(" ")[1] for title in titles] == [
        *("Training", "Training", "2", "Guidance", "Contrastive", "Whole"),
    ]
    assert "failed" not in printed
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["about"]["torch"]
    rows = {name: rows for name, rows in found.items() if isinstance(rows, dict)}
    assert not [name for section in rows.values() for name in section if name == "error"]
    assert set(found["training, tiny, 16x16, batch 4"]) >= {
        "tiny, 16x16, batch 4: ours, eager",
        "tiny, 16x16, batch 4: ours, compiled",
        "tiny, 16x16, batch 4: diffusers, as its script",
        "tiny, 16x16, batch 4: diffusers, compiled",
    }
    assert found["loop"]["textdiff, 0 workers"]["images_per_second"]["median"] > 0
