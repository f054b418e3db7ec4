"""Which variance, chain and clipping the bound is taken of, and what a model cannot follow."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from textdiff import TextToImage
from textdiff.binary.config import BinaryConfig
from textdiff.errors import UsageError
from textdiff.evaluation.likelihood.process import bound_terms_of
from textdiff.models import UNet
from textdiff.pipeline import ModelConfig


@pytest.fixture
def learned_pipe(pipe) -> TextToImage:
    """A model with a learned variance, of random weights."""
    unet = pipe.config.unet.model_copy(update={"learned_variance": True})
    torch.manual_seed(0)
    return TextToImage(UNet(unet), pipe.clip, pipe.config.model_copy(update={"unet": unet}))


@pytest.fixture
def binary_pipe(pipe) -> Callable[[str], TextToImage]:
    """Builds a binary model of random weights."""

    def build(predicts: str) -> TextToImage:
        unet = pipe.config.unet.model_copy(update={"in_channels": 1})
        config = ModelConfig(
            clip=pipe.config.clip,
            process="binary",
            binary=BinaryConfig(num_timesteps=20, predicts=predicts),
            unet=unet,
        )
        return TextToImage(UNet(unet), pipe.clip, config)

    return build


def test_auto_is_beta_where_no_variance_is_learned(pipe):
    source = bound_terms_of(pipe)
    assert (source.variance, source.clip_denoised) == ("fixed_large", True)
    assert source.chain is pipe.schedule


def test_auto_is_the_learned_variance_where_there_is_one(learned_pipe):
    assert bound_terms_of(learned_pipe).variance == "learned"
    assert bound_terms_of(learned_pipe, variance="fixed_large").variance == "fixed_large"


def test_binary_models_have_neither_variance_nor_clipping(binary_pipe):
    source = bound_terms_of(binary_pipe("x_0"), num_steps=5)
    assert (source.variance, source.clip_denoised) == (None, None)
    assert source.chain.timesteps.tolist() == [3, 7, 11, 15, 19]


def test_fewer_steps_as_spaced(pipe):
    chain = bound_terms_of(pipe, num_steps=4, spacing="linspace").chain
    assert chain.timesteps.tolist() == [0, 33, 66, 99]


def test_a_learned_variance_that_is_not_there(pipe):
    cause = "--variance learned: the model has no learned variance; use fixed_small"
    with pytest.raises(UsageError, match=cause):
        bound_terms_of(pipe, variance="learned")


def test_more_steps_than_there_are(pipe):
    with pytest.raises(UsageError, match=r"--num-steps: num_steps must lie in 1\.\.100, got 101"):
        bound_terms_of(pipe, num_steps=101)


def test_binary_models_with_a_variance(binary_pipe):
    with pytest.raises(UsageError, match="--variance fixed_large: a binary model draws coins"):
        bound_terms_of(binary_pipe("x_0"), variance="fixed_large")


def test_a_network_of_single_steps_asked_for_fewer(binary_pipe):
    with pytest.raises(UsageError, match="--num-steps: the network predicts the posterior"):
        bound_terms_of(binary_pipe("posterior"), num_steps=4)
