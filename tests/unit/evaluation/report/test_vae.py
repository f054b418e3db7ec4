"""A VAE's part of the page: its numbers, and the pictures that it does worst."""

from __future__ import annotations

import json

import pytest

from tests.helpers.pages import Page, faults
from textdiff.commands.cli import run
from textdiff.data import DataConfig, open_data
from textdiff.evaluation.report.vae import reconstructions
from textdiff.evaluation.vae.measure import measure_vae, reconstruct
from textdiff.vae import Vae


@pytest.fixture
def splits(shapes):
    config = DataConfig(source=str(shapes), image_size=16, min_side=4)
    return {split: open_data(config, split) for split in ("val", "test")}


def test_numbers_are_those_of_textdiff_vae_and_the_worst_are_shown(tiny_vae_run, splits):
    vae = Vae.load(tiny_vae_run)
    part = reconstructions(vae, {}, splits, limit=3, examples=2)
    done = reconstruct(vae, splits["val"], 3, 64)
    want = measure_vae(done, {})
    numbers, channels, _, pairs = part.section.blocks[:4]
    assert [row.estimate for row in numbers.rows] == [each for _, each in want.estimates()]
    assert len(channels.rows) == len(want.channels)
    shown = [float(again.badge.removesuffix(" dB")) for _, again in pairs.pairs]
    assert shown == [round(value, 1) for value in done.psnr.sort().values[:2].tolist()]
    assert [row.name for row in part.headlines] == ["PSNR, val", "PSNR, test"]
    assert part.numbers["reconstructions"]["test"]["pictures"] == 3


def test_of_a_large_split_the_first_are_taken_and_it_is_said(tiny_vae_run, splits, monkeypatch):
    monkeypatch.setattr("textdiff.evaluation.report.vae.LARGEST", 2)
    val = {"val": splits["val"]}
    part = reconstructions(Vae.load(tiny_vae_run), {}, val, limit=None, examples=1)
    assert part.numbers["reconstructions"]["val"]["pictures"] == 2
    said = f"the first 2 of {len(splits['val'])} pictures; --limit takes more"
    assert said in part.section.blocks[2].notes


def test_a_split_of_one_picture_is_said(tiny_vae_run, splits):
    part = reconstructions(Vae.load(tiny_vae_run), {}, {"val": splits["val"]}, limit=1, examples=2)
    (missing,) = part.section.blocks
    assert missing.what == "Reconstructions of val" and "two or more" in missing.why


def test_the_page_of_a_run(tiny_vae_run, tmp_path):
    out, numbers = tmp_path / "report.html", tmp_path / "report.json"
    run(["report", "--run", str(tiny_vae_run), "--out", str(out), "--json", str(numbers)])
    text, found = out.read_text(), json.loads(numbers.read_text())
    assert faults(text) == []
    assert {"learning", "reconstructions", "protocol"} <= Page.of(text).ids
    assert found["kind"] == "VAE" and found["missing"] == []
    assert found["vae"]["weights"] == Vae.load(tiny_vae_run).identity
    assert "Held-out reconstructions, dB" in text
