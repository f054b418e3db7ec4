"""Feature files: back as they were, and refused where they are not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from tests.helpers.extractors import MeanColours
from textdiff.errors import DataError, UsageError
from textdiff.evaluation.features import feature_set
from textdiff.evaluation.features.feature_set import (
    FeatureSet,
    check_same_extractor,
    read_features,
    write_features,
)

PROTOCOL = MeanColours().protocol


@pytest.fixture
def features() -> FeatureSet:
    return FeatureSet(
        features=torch.randn(3, 3),
        positions=[0, 2, 5],
        captions=[["a", "b"], [], ["ein grüner Apfel"]],
        extractor=PROTOCOL,
        source={"source": "shapes", "split": "test"},
        bad={1: "truncated"},
    )


@pytest.fixture
def path(tmp_path, features):
    write_features(tmp_path / "new" / "f.safetensors", features, "key")
    return tmp_path / "new" / "f.safetensors"


def test_back_as_they_were(path, features):
    again = read_features(path, "key")
    assert torch.equal(again.features, features.features)
    for name in ("positions", "captions", "extractor", "source", "bad"):
        assert getattr(again, name) == getattr(features, name)
    assert again.title == "shapes, split test (3 pictures)"


def test_each_byte_counts(path):
    """One bit changed, anywhere in the file: never read as if it were whole."""
    whole = path.read_bytes()
    for place in (9, len(whole) // 3, len(whole) // 2, len(whole) - 1):
        spoilt = bytearray(whole)
        spoilt[place] ^= 1
        path.write_bytes(spoilt)
        with pytest.raises(DataError, match=r"f\.safetensors"):
            read_features(path)


def test_cut_off(path):
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(DataError, match="cannot be read as features"):
        read_features(path)


def test_numbers_that_are_none(tmp_path, features):
    """A file is data, whoever wrote it: none of ours would."""
    features.features[1, 2] = torch.inf
    write_features(tmp_path / "f.safetensors", features)
    with pytest.raises(DataError, match=r"f\.safetensors holds features that are NaN .* 1 of 3"):
        read_features(tmp_path / "f.safetensors")


def test_another_key(path):
    with pytest.raises(DataError, match="other pictures"):
        read_features(path, "another")


def test_of_an_older_format(tmp_path, features, monkeypatch):
    monkeypatch.setattr(feature_set, "FORMAT", 1)
    write_features(tmp_path / "old.safetensors", features)
    monkeypatch.undo()
    said = r"old\.safetensors .* format 1, this version reads 3; write it again with 'textdiff feat"
    with pytest.raises(DataError, match=said):
        read_features(tmp_path / "old.safetensors")


def test_missing(tmp_path):
    with pytest.raises(DataError, match="no-such"):
        read_features(tmp_path / "no-such.safetensors")


def test_weights_are_no_features(tmp_path):
    from textdiff.checkpoint import save_tensors

    save_tensors(tmp_path / "weights.safetensors", {"w": torch.zeros(2)})
    with pytest.raises(DataError, match="no file of features; 'textdiff features' writes one"):
        read_features(tmp_path / "weights.safetensors")


def test_of_another_model_by_name(features):
    other = MeanColours(weights="9876").protocol
    with pytest.raises(
        UsageError,
        match=r"by timm colours \(weights 0123\).* \(weights 9876\).*: "
        "they differ in weights",
    ):
        check_same_extractor("--reference r", features, "--features-file f", other)


def test_of_the_same_weights_in_another_architecture(features):
    other = replace(PROTOCOL, architecture="89ab")
    with pytest.raises(UsageError, match="they differ in architecture; take one extractor"):
        check_same_extractor("--reference r", features, "--features-file f", other)


def test_another_name_is_no_other_model(features):
    check_same_extractor("--reference r", features, "f", replace(PROTOCOL, name="elsewhere"))


def test_prompts_are_the_first_captions(features):
    with pytest.raises(DataError, match="1 of 3 pictures have no caption"):
        _ = features.prompts
