"""The CLIP task's choice of loss, from the command line on, and its watch over the logit scale."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.batches import batch_of, noise
from textdiff.clip import ClipModel
from textdiff.commands.cli import run
from textdiff.errors import CheckpointError, UsageError
from textdiff.training.config import ContrastiveLossConfig
from textdiff.training.tasks.contrastive import ContrastiveTask


@pytest.fixture
def train_clip(configs, shapes, tmp_path):
    """Trains for two steps; gives the model."""

    def trained(*flags: str, folder: str = "run") -> ClipModel:
        usual = ["--config", str(configs / "clip.yaml"), "--data.source", str(shapes)]
        usual += ["--train.steps", "2", "--run-dir", str(tmp_path / folder)]
        run(["train-clip", *usual, *flags])
        return ClipModel.load(tmp_path / folder)

    return trained


@pytest.fixture
def clip(tiny_clip) -> ClipModel:
    return ClipModel.load(tiny_clip).train()


def test_sigmoid_starts_as_siglip_does_and_trains_the_bias(train_clip):
    clip = train_clip("--loss.kind", "sigmoid")
    bias, scale = clip.model.logit_bias.item(), clip.logit_scale.item()
    assert bias == pytest.approx(-10, abs=0.05)
    assert bias != -10
    assert scale == pytest.approx(10, abs=0.05)


def test_a_clip_with_a_bias_can_go_on_without_it(train_clip, tmp_path):
    siglip = train_clip("--loss.kind", "sigmoid", folder="siglip")
    clip = train_clip("--init", str(tmp_path / "siglip"))
    assert clip.model.logit_bias == siglip.model.logit_bias
    assert clip.model.logit_scale != siglip.model.logit_scale


def test_sigmoid_from_a_clip_without_bias_is_refused(train_clip, tiny_clip):
    with pytest.raises(UsageError, match="has no logit bias, which"):
        train_clip("--loss.kind", "sigmoid", "--init", str(tiny_clip))


def test_a_local_sigmoid_loss_is_refused(train_clip):
    with pytest.raises(UsageError, match="local needs kind softmax"):
        train_clip("--loss.kind", "sigmoid", "--loss.local", "true")


def test_a_finished_run_is_not_continued_with_another_loss(train_clip):
    train_clip()
    with pytest.raises(CheckpointError, match="trained with loss = softmax, now it is sigmoid"):
        train_clip("--loss.kind", "sigmoid", "--train.steps", "3")


@pytest.mark.parametrize(
    ("t", "limit", "said"),
    [(-0.1, 1, "collapsed from 14.3 to 1"), (9.0, 100, "exploded from 14.3")],
)
def test_a_scale_at_its_limit_is_held_and_named_once_with_its_step(clip, caplog, t, limit, said):
    task = ContrastiveTask(clip=clip, seed=0, loss=ContrastiveLossConfig())
    task.losses(clip, batch_of(noise(2)), step=41)
    for step in (42, 43):
        clip.model.logit_scale.data.fill_(t)
        task.after_update()
        assert clip.logit_scale.item() == pytest.approx(limit)
        task.losses(clip, batch_of(noise(2)), step=step)
    task.after_update()
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith(f"step 42: the logit scale {said}")


def test_a_batch_of_one_pair_has_no_gradient_but_does_not_fail(clip):
    loss = ContrastiveTask(clip=clip, seed=0).losses(clip, batch_of(noise(1)), step=0)["loss"]
    loss.backward()
    assert loss.item() == 0
    assert all(torch.isfinite(p.grad).all() for p in clip.parameters())
