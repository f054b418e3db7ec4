"""The CLIP task's choice of loss, from the command line on, and its watch over the logit scale."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.batches import batch_of, noise
from tests.helpers.older_run import forget
from textdiff import checkpoint
from textdiff.clip import ClipModel
from textdiff.commands.cli import run
from textdiff.errors import CheckpointError, UsageError
from textdiff.training.augment_config import AugmentConfig
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
    with pytest.raises(CheckpointError, match="trained with loss = None, now it is sigmoid"):
        train_clip("--loss.kind", "sigmoid", "--train.steps", "3")


@pytest.mark.parametrize(
    ("t", "limit", "said"),
    [(-0.1, 1, "collapsed from 14.3 to 1"), (9.0, 100, "exploded from 14.3")],
)
def test_a_scale_at_its_limit_is_held_and_named_once_with_its_step(clip, caplog, t, limit, said):
    task = ContrastiveTask(clip, seed=0, loss=ContrastiveLossConfig())
    task.losses(clip, batch_of(noise(2)), step=41)
    for step in (42, 43):
        clip.model.logit_scale.data.fill_(t)
        task.after_update()
        assert clip.logit_scale.item() == pytest.approx(limit)
        task.losses(clip, batch_of(noise(2)), step=step)
    task.after_update()
    (message,) = [record.getMessage() for record in caplog.records]
    assert message.startswith(f"step 42: the logit scale {said}")


def test_captions_and_pictures_are_augmented(clip):
    seen = []

    def model(image, tokens):
        seen.append((image, tokens.lengths))
        return clip(image, tokens)

    batch = batch_of(noise(8))
    ContrastiveTask(clip, 0, augment=AugmentConfig(zoom=0.3, drop_words=0.9)).losses(
        model, batch, 5
    )
    ((image, lengths),) = seen
    assert not torch.equal(image, batch.image)
    assert lengths.tolist() != clip.tokenize(batch.captions).lengths.tolist()


def test_a_run_is_not_continued_with_other_augmentation(train_clip):
    train_clip("--augment.zoom", "0.2")
    with pytest.raises(CheckpointError, match=r"trained with augment = \{'zoom': 0.2\}, now it is"):
        train_clip("--augment.zoom", "0.3", "--train.steps", "3")


def test_a_run_from_before_augmentation_is_continued_without_it_alone(train_clip, tmp_path):
    train_clip()
    forget(tmp_path / "run", "augment")
    with pytest.raises(CheckpointError, match=r"trained with augment = None, now it is \{'zoom'"):
        train_clip("--augment.zoom", "0.2", "--train.steps", "3")
    train_clip("--train.steps", "3")
    assert checkpoint.newest_good(tmp_path / "run" / "checkpoints")[0].name == "step-000003"


def test_a_batch_of_one_pair_has_no_gradient_but_does_not_fail(clip):
    loss = ContrastiveTask(clip, seed=0).losses(clip, batch_of(noise(1)), step=0)["loss"]
    loss.backward()
    assert loss.item() == 0
    assert all(torch.isfinite(p.grad).all() for p in clip.parameters())
