"""`textdiff train-clip`: where it starts from, and what it trains on."""

from __future__ import annotations

import pytest
import torch

from textdiff.clip import ClipModel
from textdiff.commands.cli import run


@pytest.fixture
def train_clip(configs, shapes, tmp_path):
    """Trains for one step of almost no length; gives the model."""

    def trained(*flags: str) -> ClipModel:
        usual = ["--config", str(configs / "clip.yaml"), "--data.source", str(shapes)]
        usual += ["--train.steps", "1", "--train.lr", "1e-12", "--run-dir", str(tmp_path / "run")]
        run(["train-clip", *usual, *flags])
        return ClipModel.load(tmp_path / "run")

    return trained


def test_starts_from_the_clip_it_is_given(train_clip, tiny_clip):
    found, expected = train_clip("--init", str(tiny_clip)), ClipModel.load(tiny_clip)
    for name, tensor in expected.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], tensor)


def test_starts_from_fresh_weights_of_the_seed(train_clip, tiny_clip):
    other = ClipModel.load(tiny_clip).model.visual.conv1.weight
    found = train_clip("--seed", "5").model.visual.conv1.weight
    assert not torch.allclose(found, other)


@pytest.mark.parametrize(("split", "count"), [("train", 8), ("all", 16)])
def test_trains_on_the_split_that_is_asked_for(train_clip, capsys, split, count):
    train_clip("--split", split)
    assert f", split {split} ({count} images), " in capsys.readouterr().out
