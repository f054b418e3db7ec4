"""The feature cache: what decides a key, what is damaged, what is removed."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from importlib.metadata import version

import pytest
import torch

from tests.helpers.extractors import MeanColours
from textdiff.data import DataConfig
from textdiff.evaluation.features import cache as module
from textdiff.evaluation.features.cache import FeatureCache, installed, key_of, open_cache
from textdiff.evaluation.features.extractor import ExtractorProtocol
from textdiff.evaluation.features.feature_set import FeatureSet

PROTOCOL = MeanColours().protocol


@dataclass
class Changed:
    protocol: ExtractorProtocol
    batch_size: int


@pytest.fixture
def features() -> FeatureSet:
    return FeatureSet(torch.randn(100, 3), list(range(100)), [[]] * 100, PROTOCOL, {}, {})


@pytest.fixture
def cache(tmp_path) -> FeatureCache:
    return FeatureCache(tmp_path / "features")


def test_key_is_of_what_decides_the_features(monkeypatch):
    def key(batch_size=4, pixels="a", **changes) -> str:
        extractor = Changed(replace(PROTOCOL, **changes), batch_size)
        return key_of(extractor, {"pixels": pixels})

    first = key()
    assert key(name="another") == first
    seen = replace(PROTOCOL.preprocessing, resample="box")
    others = [{"weights": "f"}, {"architecture": "e"}, {"preprocessing": seen}]
    others += [{"pixels": "b"}, {"batch_size": 8}]
    assert all(key(**other) != first for other in others)
    monkeypatch.setattr(module, "versions", lambda: {"torch": "99"})
    assert key() != first


@pytest.mark.parametrize("package", ["torchvision", "transformers", "timm", "torch-fidelity"])
def test_key_is_of_the_libraries_that_make_features(monkeypatch, package):
    first = key_of(MeanColours(), {})
    monkeypatch.setattr(module, "installed", lambda name: "0" if name == package else None)
    one = key_of(MeanColours(), {})
    monkeypatch.setattr(module, "installed", lambda name: None)
    assert len({first, one, key_of(MeanColours(), {})}) == 3


def test_a_library_that_is_not_there_has_no_version():
    assert installed("no-such-package") is None
    assert installed("torch") == version("torch")


def test_put_and_get(cache, features):
    assert cache.get("k") is None
    path = cache.put("k", features)
    assert path == cache.path("k")
    assert torch.equal(cache.get("k").features, features.features)


def test_a_damaged_file_is_told_and_not_used(cache, features, capsys):
    path = cache.put("k", features)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert cache.get("k") is None
    assert f"{path} is damaged" in capsys.readouterr().err


def test_those_not_used_for_longest_are_removed(tmp_path, features):
    one = FeatureCache(tmp_path).put("size", features).stat().st_size
    cache = FeatureCache(tmp_path, most_bytes=3 * one)
    for time, key in enumerate(["size", "a", "b"]):
        cache.put(key, features)
        os.utime(cache.path(key), (time, time))
    assert cache.get("size") is not None  # used: the newest now
    cache.put("c", features)
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["b", "c", "size"]


def test_the_newest_stays_however_large(tmp_path, features):
    cache = FeatureCache(tmp_path, most_bytes=1)
    assert cache.put("k", features).is_file()


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path, features, capsys):
    (tmp_path / "file").write_text("")
    assert FeatureCache(tmp_path / "file" / "features").put("k", features) is None
    assert "features are not kept" in capsys.readouterr().err


def test_off_is_none():
    assert open_cache("off", DataConfig()) is None


def test_beside_other_caches(monkeypatch, tmp_path):
    monkeypatch.setenv("TEXTDIFF_CACHE", str(tmp_path))
    assert open_cache("auto", DataConfig()).folder == tmp_path / "features"
