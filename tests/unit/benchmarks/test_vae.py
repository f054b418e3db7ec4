"""The figure of KL weights is made, small."""

from __future__ import annotations

import importlib
import json
import sys

import pytest
from PIL import Image

from tests.helpers.paths import ROOT


@pytest.mark.slow
def test_the_figure_of_kl_weights(monkeypatch, tmp_path, shapes):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    benchmark = importlib.import_module("vae_elbo")
    flags = ["--weights", "0.01", "100", "--data", str(shapes), "--image-size", "16"]
    flags += ["--channels", "16", "16", "--steps", "3", "--batch-size", "4"]
    monkeypatch.setattr(sys, "argv", ["vae_elbo.py", *flags, "--out", str(tmp_path)])
    benchmark.main()
    rows = json.loads((tmp_path / "elbo.json").read_text())["weights"]
    assert [row["kl_weight"] for row in rows] == [0.01, 100]
    for row in rows:
        assert row["bound"] == pytest.approx(row["pixels"] + row["latents"])
    assert Image.open(tmp_path / "elbo.png").height > 300
