"""The benchmark of loaders: every way gives every picture, small."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import pytest

from tests.helpers.paths import ROOT

OPTIONS = SimpleNamespace(image_size=8, batch_size=2, rounds=2)


@pytest.fixture
def bench(monkeypatch, tmp_path):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf")
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    bench = importlib.import_module("data")
    bench.write_pictures(tmp_path / "pngs", 5, (16, 12), "png")
    bench.write_parquet(tmp_path / "pngs", tmp_path / "pngs.parquet")
    bench.write_tars(tmp_path / "pngs", tmp_path / "tars")
    monkeypatch.setenv("TEXTDIFF_CACHE", str(tmp_path / "cache"))
    return bench


@pytest.mark.parametrize("kind", ["pngs", "parquet", "tars"])
def test_every_way_is_measured(bench, tmp_path, kind):
    theirs = "webdataset" if kind == "tars" else "datasets"
    pytest.importorskip(theirs)
    measured = bench.measure(str(tmp_path / bench.KINDS[kind]), OPTIONS, 0, tmp_path)
    assert list(measured) == ["textdiff, first", "textdiff, later", "textdiff plain", theirs]
    assert all(row["speed"]["median"] > 0 for row in measured.values())
    assert measured[theirs]["ratio"]["median"] == 1


@pytest.mark.parametrize(("kind", "theirs"), [("pngs", "Datasets"), ("tars", "Webdataset")])
def test_both_give_each_picture_once(bench, tmp_path, kind, theirs):
    pytest.importorskip(theirs.lower())
    source = str(tmp_path / bench.KINDS[kind])
    ours = bench.Ours(source, OPTIONS, 0, None)
    ours.first()
    loader = getattr(bench, theirs)(source, OPTIONS, 0).loader
    captions = [text for _, texts in loader for text in texts]
    assert sorted(captions) == sorted(ours.data.all_captions)
