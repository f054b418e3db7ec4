"""The benchmark of plans: its trainings exist, and a peak is read from the process that had it."""

from __future__ import annotations

import importlib
import sys

import pytest

from tests.helpers.command import settings_of
from tests.helpers.paths import ROOT


@pytest.fixture
def benchmark(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.delitem(sys.modules, "plan", raising=False)
    return importlib.import_module("plan")


def test_every_training_can_be_read(benchmark):
    for case in benchmark.cases("clip"):
        settings_of([case.task, *case.flags, "--run-dir", "run"])


def test_how_far_off_a_prediction_is(benchmark):
    assert benchmark.Compared(predicted=0.9e9, error=0.05e9, held=10**9).off == pytest.approx(-0.1)
