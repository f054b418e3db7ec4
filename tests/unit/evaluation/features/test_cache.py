"""The feature cache: what decides a key, what is damaged, what is removed."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
import torch

from tests.helpers.extractors import MeanColours
from textdiff.data import DataConfig
from textdiff.evaluation.features import cache as module
from textdiff.evaluation.features.cache import FeatureCache, key_of, open_cache
from textdiff.evaluation.features.feature_set import FeatureSet

PROTOCOL = MeanColours().protocol


@pytest.fixture
def features() -> FeatureSet:
    return FeatureSet(torch.randn(100, 3), list(range(100)), [[]] * 100, PROTOCOL, {}, {})


@pytest.fixture
def cache(tmp_path) -> FeatureCache:
    return FeatureCache(tmp_path / "features")


def test_key_is_of_what_decides_the_features(monkeypatch):
    key = key_of(PROTOCOL, {"pixels": "a"})
    assert key_of(replace(PROTOCOL, name="another"), {"pixels": "a"}) == key
    assert key_of(PROTOCOL, {"pixels": "b"}) != key
    assert key_of(replace(PROTOCOL, weights="f"), {"pixels": "a"}) != key
    assert key_of(replace(PROTOCOL, architecture="e"), {"pixels": "a"}) != key
    seen = replace(PROTOCOL.preprocessing, resample="box")
    assert key_of(replace(PROTOCOL, preprocessing=seen), {"pixels": "a"}) != key
    monkeypatch.setattr(module, "versions", lambda: {"torch": "99"})
    assert key_of(PROTOCOL, {"pixels": "a"}) != key


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
