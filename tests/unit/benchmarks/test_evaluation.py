"""The benchmark of metrics and features: each side is measured, and gives the same numbers."""

from __future__ import annotations

import importlib
import json
from types import SimpleNamespace

import pytest

from tests.helpers.paths import ROOT


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("evaluation")


@pytest.mark.parametrize("what", ["retrieval", "KID", "CMMD"])
def test_sides_give_the_same_numbers(bench, what):
    """But for KID over random subsets, which is another one."""
    pytest.importorskip("torchmetrics")
    pytest.importorskip("open_clip_train.train")
    options = SimpleNamespace(rows=70, kernel_rows=80, dim=16)
    found = {name: side.prepare(options)() for name, side in bench.COMPARED[what].items()}
    for name, numbers in found.items():
        if "subsets" not in name:
            assert bench.apart(numbers, found["textdiff"]) < 1e-4, name


@pytest.mark.slow
def test_features_of_pictures_are_the_same_and_a_table_is_written(
    bench, monkeypatch, tmp_path, capsys
):
    flags = [*SMALL, "--only", "features", "CMMD", "--pictures", "5", "--batch-size", "2"]
    flags += ["--architecture", "ViT-S-32-alt", "--json", str(tmp_path / "a.json")]
    monkeypatch.setattr("sys.argv", ["evaluation.py", *flags])
    bench.main()
    found = json.loads((tmp_path / "a.json").read_text())["results"]
    assert {name: list(rows) for name, rows in found.items()} == {
        name: list(bench.COMPARED[name]) for name in ("features", "CMMD")
    }
    for row in found["features"].values():
        assert row["apart"] < 1e-3
        assert row["seconds"]["median"] > 0
    assert found["features"]["textdiff"]["ratio"]["median"] == 1
    printed = capsys.readouterr().out
    assert "| textdiff again |" in printed and "| reference |" in printed


def test_what_needs_more_memory_than_is_free_is_left_out(bench, monkeypatch, tmp_path):
    one = {"seconds": 1.0, "bytes": 2**20, "numbers": [0.5]}
    monkeypatch.setattr(bench, "in_fresh_process", lambda *given: one)
    options = SimpleNamespace(rows=10**7, rounds=2, sides=None)
    found = bench.compare("retrieval", tmp_path, options)
    assert "needs" in found["open_clip"]["left out"]
    assert found["CLIP_benchmark"]["ratio"]["median"] == 1
