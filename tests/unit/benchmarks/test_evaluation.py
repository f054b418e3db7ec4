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
def test_sides_give_the_same_features(bench, monkeypatch, tmp_path):
    monkeypatch.setenv("TEXTDIFF_CACHE", str(tmp_path / "textdiff"))
    options = SimpleNamespace(
        pictures=5, batch_size=2, architecture="ViT-S-32-alt", folder=tmp_path
    )
    bench.write_inputs(tmp_path, options)
    sides = bench.COMPARED["features"]
    found = {name: side.prepare(options)() for name, side in sides.items() if "2 w" not in name}
    assert list(found) == ["textdiff", "textdiff again", "open_clip, 0 workers"]
    for name, numbers in found.items():
        assert bench.apart(numbers, found["textdiff"]) < 1e-3, name


@pytest.mark.slow
def test_a_fresh_process_says_what_it_took(bench, monkeypatch, tmp_path):
    monkeypatch.setattr("sys.argv", ["evaluation.py", "--kernel-rows", "80", "--dim", "16"])
    found = bench.in_fresh_process("CMMD", "textdiff", tmp_path)
    assert found["seconds"] > 0 and found["bytes"] >= 0
    assert len(found["numbers"]) == 1


def test_a_table_has_a_row_per_side(bench, monkeypatch, tmp_path, capsys):
    one = {"seconds": 2.0, "bytes": 3 * 2**20, "numbers": [0.5]}
    monkeypatch.setattr(bench, "in_fresh_process", lambda *given: one)
    flags = ["--only", "CMMD", "--sides", "reference", "--rounds", "2"]
    file = tmp_path / "a.json"
    monkeypatch.setattr("sys.argv", ["evaluation.py", *flags, "--json", str(file)])
    bench.main()
    assert list(json.loads(file.read_text())["results"]["CMMD"]) == ["textdiff", "reference"]
    row = "| reference | 2.000 (2.000 to 2.000) | 1.00 (1.00 to 1.00) | 2 | 3 | 0e+00 |"
    assert row in capsys.readouterr().out


def test_what_needs_more_memory_than_is_free_is_left_out(bench, monkeypatch, tmp_path):
    one = {"seconds": 1.0, "bytes": 2**20, "numbers": [0.5]}
    monkeypatch.setattr(bench, "in_fresh_process", lambda *given: one)
    options = SimpleNamespace(rows=10**7, rounds=2, sides=None)
    found = bench.compare("retrieval", tmp_path, options)
    assert "needs" in found["open_clip"]["left out"]
    assert found["CLIP_benchmark"]["ratio"]["median"] == 1
