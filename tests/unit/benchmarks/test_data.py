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
    return bench


@pytest.mark.parametrize("source", ["pngs", "pngs.parquet"])
def test_every_way_is_measured(bench, tmp_path, source):
    measured = bench.measure(str(tmp_path / source), OPTIONS, 0, tmp_path)
    assert list(measured) == ["textdiff, first", "textdiff, later", "textdiff plain", "datasets"]
    assert all(row["speed"]["median"] > 0 for row in measured.values())
    assert measured["datasets"]["ratio"]["median"] == 1


def test_both_give_each_picture_once(bench, tmp_path):
    source = str(tmp_path / "pngs")
    ours = bench.Ours(source, OPTIONS, 0, None)
    ours.first()
    captions = [text for _, texts in bench.Datasets(source, OPTIONS, 0).loader for text in texts]
    assert sorted(captions) == sorted(ours.data.all_captions)
