"""The benchmark of reading scenes back: every way to spoil pictures is measured, small."""

from __future__ import annotations

import importlib

from tests.helpers.paths import ROOT


def test_every_way_is_measured(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    benchmark = importlib.import_module("composition")
    rates = benchmark.measure("pairs", objects=2, image_size=24, pictures=4)
    assert rates.keys() == benchmark.WAYS.keys()
    assert set(rates["as they are"].right.values()) == {1.0}
    assert all(each.pictures == 4 and each.per_second > 0 for each in rates.values())
