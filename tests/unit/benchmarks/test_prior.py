"""The benchmark of priors: both kinds are timed, small."""

from __future__ import annotations

import importlib

import pytest

from tests.helpers.paths import ROOT
from textdiff.models.prior_config import TransformerConfig


@pytest.mark.parametrize("kind", ["diffusion", "autoregressive"])
def test_both_kinds_are_timed(monkeypatch, kind):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    benchmark = importlib.import_module("prior")
    shape = TransformerConfig(width=16, heads=2, layers=1)
    speed = benchmark.measure(kind, 16, rows=50, batch_size=4, steps=1, shape=shape)
    assert speed.reading > speed.training > 0
    assert 0 < speed.peak_mib < 2048
