"""The benchmark of latents, small."""

from __future__ import annotations

import importlib
import json

import pytest

from tests.helpers.paths import ROOT


@pytest.fixture
def module(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module("latents")


def test_every_scheme_is_timed(module, tiny_latent_model, tiny_run, latent_noised, tmp_path):
    flags = ["--model", tiny_latent_model, "--pixels", tiny_run, "--noised", latent_noised]
    few = ["--images", "2", "--steps", "2", "--rounds", "2", "--json", tmp_path / "l.json"]
    module.main(list(map(str, [*flags, *few])))
    found = json.loads((tmp_path / "l.json").read_text())
    names = [row["name"] for row in found["drawing"]]
    assert names == ["cfg", "noised", "past the U-Net", "clean", "pixels"]
    assert all(row["ms"]["median"] > 0 for row in found["drawing"])
    assert found["vae"].keys() == {"decoder", "encoder"}


def test_a_model_of_pixels_is_refused(module, tiny_run):
    with pytest.raises(SystemExit, match="draws pixels"):
        module.main(["--model", str(tiny_run)])
