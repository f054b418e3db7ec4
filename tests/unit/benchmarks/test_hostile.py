"""The benchmark of hostile data, small: everything planted is counted, and a training ends."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io

import pytest

from tests.helpers.paths import ROOT
from textdiff.commands.cli import run


@pytest.fixture
def benchmark(monkeypatch):
    """Its commands run here: what a process takes is not the point."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    hostile = importlib.import_module("hostile")

    def ran(*words: object):
        with contextlib.redirect_stdout(io.StringIO()) as output:
            run(list(map(str, words)))
        return hostile.Ran(0, output.getvalue(), 0.0, 0.0)

    monkeypatch.setattr(hostile, "ran", ran)
    return hostile


def test_a_small_folder(tmp_path, benchmark):
    options = argparse.Namespace(files=90, image_size=16, steps=2, json=None)
    outcome = benchmark.measure(tmp_path, options)
    assert outcome.wrong == {} and outcome.same
    assert outcome.met == outcome.unusable > 0
