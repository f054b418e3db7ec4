"""`textdiff likelihood`: its JSON, table and plot, and what it refuses before it loads anything."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from textdiff.checkpoint import weights_hash
from textdiff.commands import cli
from textdiff.errors import EXTRAS


def test_numbers_table_and_plot(pipe, tiny_run, shapes, tmp_path, capsys):
    out, plot = tmp_path / "new" / "likelihood.json", tmp_path / "plots" / "bits.png"
    data = ["--data.source", str(shapes), "--data.image-size", "16", "--data.min-side", "4"]
    flags = ["--estimate", "5", "--captions", "first", "none", "--seed", "3", "--dtype", "float64"]
    files = ["--json", str(out), "--plot", str(plot)]
    cli.run(["likelihood", "--model", str(tiny_run), *data, *flags, *files])
    document = json.loads(out.read_text())

    assert document["model"]["name"] == str(tiny_run)
    assert document["model"]["clip"] == pipe.clip.weights_hash()
    assert document["model"]["weights"] == weights_hash(pipe.unet)  # at any precision
    assert (document["data"]["source"], document["data"]["split"]) == (str(shapes), "test")
    assert (document["process"], document["variance"]) == ("gaussian", "fixed_large")
    assert (document["clip_denoised"], document["spacing"]) == (True, None)
    assert (document["dtype"], document["seed"], document["image_seed"]) == ("float64", 3, 0)
    assert (document["timesteps"], document["timesteps_per_picture"]) == (100, 5)
    assert (document["pictures"], document["captions_cut"]) == (4, 0)
    assert "torch" in document["versions"]
    assert list(document["results"]) == ["first", "none"]
    totals = document["per_picture"]["first"]
    mean = document["results"]["first"]["total"]["mean"]
    assert mean == pytest.approx(sum(totals) / 4)

    shown = capsys.readouterr().out
    assert f"{mean:.4f}" in shown
    assert "split test (4 images); variance fixed_large; 5 of 100 timesteps" in shown
    with Image.open(plot) as image:
        assert image.format == "PNG"


def test_by_default_part_of_the_timesteps_and_how_to_measure_all(tiny_run, tmp_path, capsys):
    out = tmp_path / "numbers.json"
    cli.run(["likelihood", "--model", str(tiny_run), "--limit", "2", "--json", str(out)])
    document = json.loads(out.read_text())
    assert (document["timesteps_per_picture"], document["pictures"]) == (25, 2)
    advice = "--estimate none for all 100 timesteps, --limit none for all 4 images: 8 times as long"
    assert advice in capsys.readouterr().out


def test_a_short_chain_is_measured_whole(tiny_run, tmp_path):
    out = tmp_path / "numbers.json"
    flags = ["--limit", "2", "--num-steps", "5", "--json", str(out)]
    cli.run(["likelihood", "--model", str(tiny_run), *flags])
    assert json.loads(out.read_text())["timesteps_per_picture"] == 5


def test_plot_without_matplotlib(monkeypatch, capsys):
    monkeypatch.setitem(EXTRAS, "plot", {"no_such": "no-such"})
    with pytest.raises(SystemExit) as ended:
        cli.main(["likelihood", "--model", "any", "--plot", "a.png"])
    assert ended.value.code == 2
    assert "pip install no-such" in capsys.readouterr().err
