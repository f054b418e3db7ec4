"""Gradient caching: the gradients of the whole batch, from towers that never see it at once."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.batches import batch_of, noise
from textdiff.clip import ClipModel
from textdiff.training.gradient_cache import encode_in_groups
from textdiff.training.tasks.contrastive import ContrastiveTask


def loss_and_gradients(folder, size: int | None) -> dict[str, torch.Tensor]:
    clip = ClipModel.load(folder).train().double()
    task = ContrastiveTask(clip=clip, seed=0, encoder_batch_size=size)
    loss = task.losses(clip, batch_of(noise(7)), step=0)["loss"]
    loss.backward()
    return {name: p.grad for name, p in clip.named_parameters()} | {"loss": loss.detach()}


@pytest.mark.parametrize("size", [1, 3, 6, 7, 100])
def test_gradients_are_those_of_the_whole_batch(tiny_clip, size):
    found, whole = loss_and_gradients(tiny_clip, size), loss_and_gradients(tiny_clip, None)
    torch.testing.assert_close(found, whole, rtol=1e-9, atol=1e-12)


def test_the_same_groups_give_the_same_bits(tiny_clip):
    first, again = loss_and_gradients(tiny_clip, 3), loss_and_gradients(tiny_clip, 3)
    torch.testing.assert_close(again, first, rtol=0, atol=0)


def test_dropout_draws_the_same_when_a_group_is_encoded_again(tiny_clip):
    """Else the gradient would be of another function than the loss."""
    clip = ClipModel.load(tiny_clip).train()
    drop = torch.nn.Dropout(0.5)
    drawn: list[torch.Tensor] = []

    def dropping(_module, _inputs, features):
        dropped = drop(features)
        drawn.append(dropped.detach().clone())
        return dropped

    clip.model.visual.register_forward_hook(dropping)
    tokens = clip.tokenize(["red circle", "green cross", "blue square"])
    images, texts, _ = encode_in_groups(clip, clip, noise(3), tokens, 1)
    (images * texts).sum().backward()
    once, again = drawn[1:3], drawn[3:]  # the first group is encoded once; the last is first again
    torch.testing.assert_close(again[::-1], once, rtol=0, atol=0)


def test_towers_see_no_more_pairs_than_asked_for(tiny_clip):
    clip = ClipModel.load(tiny_clip).train()
    seen: list[int] = []
    clip.model.visual.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
    task = ContrastiveTask(clip=clip, seed=0, encoder_batch_size=3)
    task.losses(clip, batch_of(noise(7)), 0)["loss"].backward()
    assert seen == [3, 3, 1, 1, 3]  # the first group once, the others again from the last one on
