"""The benchmark of hostile data, small: everything planted is counted, and a training ends."""

from __future__ import annotations

import argparse
import importlib

import pytest

from tests.helpers.paths import ROOT


@pytest.mark.slow
def test_a_small_folder(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    options = argparse.Namespace(files=90, image_size=16, steps=2, json=None)
    outcome = importlib.import_module("hostile").measure(tmp_path, options)
    assert outcome.wrong == {} and outcome.same
    assert outcome.met == outcome.unusable > 0
    assert [outcome.check.code, outcome.training.code] == [0, 0]
