"""`textdiff noised-clip`: its JSON, table and plot, and pictures of another size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.noised import noised_clip
from textdiff.clip import NoisedClip
from textdiff.commands.cli import run
from textdiff.errors import UsageError


@pytest.fixture
def flags(tiny_clip, shapes, tmp_path) -> list[str | Path]:
    """All but the files; a noised CLIP that was not trained."""
    noised_clip(tiny_clip, std=0).save(tmp_path / "noised")
    data = ["--data.source", shapes, "--data.min-side", "4", "--split", "all"]
    return ["--noised", tmp_path / "noised", *data, "--draws", "2", "--levels", "3"]


def test_numbers_table_and_plot(flags, tiny_clip, tmp_path, capsys):
    out, plot = tmp_path / "noised.json", tmp_path / "curves.png"
    run(["noised-clip", *map(str, [*flags, "--json", out, "--plot", plot])])
    document = json.loads(out.read_text())
    assert document["timesteps"] == [0, 50, 99]
    assert (document["searched"], document["captions"], document["classes"]) == (16, 16, 16)
    assert document["noise"]["draws_per_image"] == 2
    assert document["noise"]["schedule"]["name"] == "cosine"
    assert document["noised"]["weights"] == NoisedClip.load(tmp_path / "noised").weights_hash()
    assert document["clean"]["name"] == str(tiny_clip)
    assert (document["data"]["image_size"], document["data"]["split"]) == (16, "all")
    assert (document["template"], document["noise"]["seed"]) == ("{}", 0)

    shown = capsys.readouterr().out
    rate = document["results"]["zero-shot"]["mean_over_timesteps"]["noised"]["mean"]
    assert f"{100 * rate:.1f}" in shown
    assert "image to text R@5, noised - clean: +0.0% (+0.0% to +0.0%)" in shown  # untrained
    with Image.open(plot) as image:
        assert image.size == (1320, 456)


def test_pictures_of_another_size(flags):
    cause = r"--data.image-size 32, but --noised .* of 16x16; give 16"
    with pytest.raises(UsageError, match=cause):
        run(["noised-clip", *map(str, flags), "--data.image-size", "32"])
