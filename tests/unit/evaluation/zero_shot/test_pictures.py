"""Which pictures are classified, and their features."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.helpers.class_folders import write_class_folders
from textdiff.clip import ClipModel
from textdiff.clip.features import image_features
from textdiff.data import DataConfig
from textdiff.errors import CheckpointError, DataError
from textdiff.evaluation.features.cached import clip_features
from textdiff.evaluation.zero_shot import pictures
from textdiff.evaluation.zero_shot.pictures import features_of, open_pictures


@pytest.fixture
def config(tmp_path) -> DataConfig:
    return DataConfig(source=str(write_class_folders(tmp_path / "data")), image_size=16)


@pytest.fixture(scope="module")
def clip(tiny_clip) -> ClipModel:
    return ClipModel.load(tiny_clip).freeze()


def test_all_pictures_unless_there_is_a_test_split(config, shapes):
    assert len(open_pictures(config, None, trained_on=False)) == 16
    stated = open_pictures(config.model_copy(update={"source": str(shapes)}), None, False)
    assert (stated.split, len(stated)) == ("test", 4)


def test_what_the_clip_was_trained_on_is_left_out(config):
    held_out = open_pictures(config, None, trained_on=True)
    assert held_out.split == "test" and len(held_out) < 16
    assert len(open_pictures(config, "all", trained_on=True)) == 16


def test_a_split_that_nothing_states(config):
    whole = config.model_copy(update={"val_fraction": 0.0, "test_fraction": 0.0})
    with pytest.raises(DataError, match="its val split is empty"):
        open_pictures(whole, "val", trained_on=False)


def test_features_are_those_of_all_at_once(clip, config, monkeypatch):
    monkeypatch.setattr(pictures, "CHUNK", 5)
    lenient = config.model_copy(update={"max_bad_fraction": 0.5})
    data = open_pictures(lenient, "all", trained_on=False)
    broken = data.identifiers.index("green/cross.png")
    Path(config.source, "green", "cross.png").write_bytes(b"")
    chunks = list(features_of(clip_features(clip), data))
    indices = [index for found, _ in chunks for index in found]
    assert indices == [k for k in range(16) if k != broken]
    assert [len(found) for found, _ in chunks] == [5, 5, 5]
    expected = image_features(clip, data.images(indices))
    torch.testing.assert_close(torch.cat([chunk for _, chunk in chunks]), expected)


def test_broken_weights(config, tiny_clip):
    clip = ClipModel.load(tiny_clip).freeze()
    clip.model.visual.conv1.weight.data.fill_(torch.nan)
    data = open_pictures(config, "all", trained_on=False)
    with pytest.raises(CheckpointError, match="features by CLIP are NaN or infinite for 16 of 16"):
        list(features_of(clip_features(clip), data))
