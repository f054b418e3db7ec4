"""Latents as what is diffused."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.vaes import tiny_vae
from textdiff.errors import CheckpointError, UsageError
from textdiff.pictures import PictureCodec, to_float
from textdiff.vae import LatentCodec

PICTURES = torch.randint(0, 256, (2, 3, 16, 16), generator=torch.Generator().manual_seed(0)).byte()


@pytest.fixture
def codec():
    return LatentCodec(tiny_vae(), 16)


def test_it_is_a_codec_and_says_what_it_encodes_to(codec):
    assert isinstance(codec, PictureCodec)
    x_0 = codec.encode(PICTURES)
    assert x_0.shape[1:] == codec.shape == (4, 4, 4)
    assert codec.encode(PICTURES, torch.float64).dtype == torch.float64
    for pictures in (codec.decode(x_0), codec.preview(x_0)):
        assert (pictures.shape, pictures.dtype) == (PICTURES.shape, torch.uint8)


def test_latents_are_the_normalised_mean(codec):
    mean, statistics = codec.vae.moments(to_float(PICTURES)).mean, codec.statistics
    by_hand = (mean - statistics.mean.view(4, 1, 1)) / statistics.std.view(4, 1, 1)
    torch.testing.assert_close(codec.encode(PICTURES), by_hand)
    torch.testing.assert_close(codec.images(codec.encode(PICTURES)), codec.vae.decode(mean))


def test_gradients_flow_to_the_latents_but_from_no_encoding(codec):
    x_0 = codec.encode(PICTURES)
    assert not x_0.requires_grad
    codec.images(x_0.requires_grad_()).sum().backward()
    assert x_0.grad.abs().sum() > 0


def test_refusals():
    with pytest.raises(UsageError, match="18 cannot be halved 2 times"):
        LatentCodec(tiny_vae(), 18)
    vae = tiny_vae()
    vae.statistics = None
    with pytest.raises(CheckpointError, match="no statistics"):
        LatentCodec(vae, 16)
