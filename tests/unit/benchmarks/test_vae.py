"""The figure of KL weights is made, small."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from tests.helpers.command import python


@pytest.mark.slow
def test_the_figure_of_kl_weights(tmp_path, shapes):
    """In a process of its own: accelerate's precision is set once in each."""
    flags = ["--weights", "0.01", "100", "--data", str(shapes), "--image-size", "16"]
    flags += ["--channels", "16", "16", "--steps", "3", "--batch-size", "4"]
    done = python("benchmarks/vae_elbo.py", *flags, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    rows = json.loads((tmp_path / "elbo.json").read_text())["weights"]
    assert [row["kl_weight"] for row in rows] == [0.01, 100]
    for row in rows:
        assert row["bound"] == pytest.approx(row["pixels"] + row["latents"])
    assert Image.open(tmp_path / "elbo.png").height > 300
