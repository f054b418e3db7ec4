"""A CLIP looks at pictures of its own size, in every command, unless another one is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tests.helpers.command import settings_of
from textdiff.clip import ClipModel
from textdiff.clip.features import image_features, text_features
from textdiff.commands.cli import run
from textdiff.config import read_yaml
from textdiff.data import DataConfig, open_data
from textdiff.metrics.clip_score import clip_scores

MIN_SIDE = ["--data.min-side", "4"]


@pytest.fixture(scope="module")
def large_clip(tmp_path_factory, configs, shapes) -> Path:
    """A CLIP of 64 pixels that was not trained here: it knows no data."""
    flags = ["train-clip", "--config", configs / "clip.yaml", "--run-dir", "any"]
    config = settings_of([*flags, "--clip.image.image-size", "64"]).clip
    clip = ClipModel.build(config, seed=2)
    data = open_data(DataConfig(source=str(shapes), image_size=64, min_side=4), "all")
    with torch.no_grad():  # some positive cosines: else every CLIP score would be 0
        texts = text_features(clip, [row[0] for row in data.captions])
        if (image_features(clip, data.images(range(16))) * texts).sum() < 0:
            clip.model.text_projection.neg_()
    folder = tmp_path_factory.mktemp("large")
    clip.save(folder)
    return folder


def measured(tmp_path, *command: str | Path) -> dict:
    run([*map(str, command), *MIN_SIDE, "--json", str(tmp_path / "out.json")])
    return json.loads((tmp_path / "out.json").read_text())


@pytest.mark.parametrize("asked", [None, 16])
def test_clip_score_of_pictures(large_clip, shapes, tmp_path, asked):
    size = ["--data.image-size", str(asked)] if asked else []
    found = measured(tmp_path, "clip-score", "--images", shapes, "--clip", large_clip, *size)
    assert found["data"]["image_size"] == (asked or 64)
    config = DataConfig(source=str(shapes), image_size=asked or 64, min_side=4)
    data, clip = open_data(config, "all"), ClipModel.load(large_clip).freeze()
    images = image_features(clip, data.images(range(16)))
    texts = text_features(clip, [captions[0] for captions in data.captions])
    assert found["results"]["given"]["mean"] == pytest.approx(
        clip_scores(images, texts).mean().item(), rel=1e-4
    )


def test_retrieval(large_clip, shapes, tmp_path):
    flags = ["--clip", large_clip, "--data", shapes]
    assert measured(tmp_path, "retrieval", *flags)["data"]["image_size"] == 64
    flags += ["--data.image-size", "32"]
    assert measured(tmp_path, "retrieval", *flags)["data"]["image_size"] == 32


@pytest.mark.parametrize("start", ["fresh", "init"])
def test_training(large_clip, shapes, configs, tmp_path, start):
    config = tmp_path / "clip.yaml"  # without the size of its data
    config.write_text(
        (configs / "clip.yaml").read_text().replace("image_size: 16, min_side", "min_side")
    )
    flags = ["--config", config, "--data", shapes, "--run-dir", tmp_path / "run"]
    flags += ["--init", large_clip] if start == "init" else ["--clip.image.image-size", "64"]
    run(["train-clip", *map(str, [*flags, "--train.steps", "1"])])
    assert read_yaml(tmp_path / "run" / "config.yaml")["data"]["image_size"] == 64
