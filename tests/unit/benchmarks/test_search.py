"""The benchmark of search: its sides find the same, and each part runs in a small form."""

from __future__ import annotations

import importlib
import json

import pytest
import torch

from tests.helpers.paths import ROOT


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("search")


def options(bench, monkeypatch, *flags: str):
    monkeypatch.setattr("sys.argv", ["search.py", *flags])
    return bench.arguments()


def test_sides_find_the_same_rows(bench, monkeypatch):
    given = options(bench, monkeypatch, "--dim", "16", "--centres", "5")
    rows, queries = bench.unit_rows(700, given, 1), bench.unit_rows(6, given, 2)
    found = {name: search() for name, search in bench.sides(rows, queries, 9).items()}
    assert len(found) >= 2
    for rows_found in found.values():
        assert torch.equal(rows_found, found["textdiff"])


@pytest.mark.slow
def test_every_part_runs_in_a_small_form(bench, monkeypatch, tmp_path, capsys):
    pytest.importorskip("faiss")
    small = ["--rows", "3000", "--dim", "16", "--queries", "5", "--top", "7"]
    small += ["--pictures", "50", "--rounds", "2"]
    options(bench, monkeypatch, *small, "--json", str(tmp_path / "a.json"))
    bench.main()
    results = json.loads((tmp_path / "a.json").read_text())["results"]
    assert set(results) == {"exact", "approximate", "query"}
    assert results["exact"]["faiss IndexFlatIP"]["apart"] == 0
    assert results["approximate"]["exact"]["recall"] == 1
    assert capsys.readouterr().out.count("| textdiff |") == 2
