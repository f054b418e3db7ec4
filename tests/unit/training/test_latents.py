"""What training keeps of a picture that a VAE encodes, and x_0 drawn from it."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.vaes import tiny_vae
from textdiff.pictures import to_float
from textdiff.training import latents
from textdiff.training.latents import LatentEncoder
from textdiff.vae import LatentCodec

COUNT, SIDE = 5, 16


@pytest.fixture(scope="module")
def pictures():
    rng = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (COUNT, 3, SIDE, SIDE), generator=rng).to(torch.uint8)


@pytest.fixture(scope="module")
def codec():
    return LatentCodec(tiny_vae(), SIDE)


def eps():
    return torch.randn(COUNT, 4, 4, 4, generator=torch.Generator().manual_seed(1))


def test_rows_are_the_moments_in_float16(codec, pictures):
    posterior = codec.vae.moments(to_float(pictures))
    encoder = LatentEncoder(codec)
    rows = encoder.rows(pictures)
    assert (rows.dtype, rows.shape[1:]) == (torch.float16, encoder.row_shape)
    mean, logvar = rows.float().chunk(2, dim=1)
    torch.testing.assert_close(mean, posterior.mean, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(logvar, posterior.logvar, rtol=1e-3, atol=1e-6)
    assert torch.equal(LatentEncoder(codec, "mean").rows(pictures), rows[:, :4])


def test_a_row_does_not_depend_on_the_pictures_beside_it(codec, pictures, monkeypatch):
    """To the bit: training with a cache reads what training without one computes."""
    encoder = LatentEncoder(codec)
    together = encoder.rows(pictures)
    alone = torch.cat([encoder.rows(picture[None]) for picture in pictures])
    assert torch.equal(together, alone)
    assert torch.equal(encoder.rows(pictures.flip(0)), together.flip(0))
    monkeypatch.setattr(latents, "AT_ONCE", 2)
    torch.testing.assert_close(encoder.rows(pictures), together, rtol=1e-2, atol=1e-3)


def test_training_in_bf16_encodes_in_float32(codec, pictures):
    encoder = LatentEncoder(codec)
    plain = encoder.rows(pictures)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(encoder.rows(pictures), plain)


def test_x_0_is_drawn_and_normalised(codec, pictures):
    encoder = LatentEncoder(codec)
    mean, logvar = encoder.rows(pictures).double().chunk(2, dim=1)
    z = mean + (logvar / 2).exp() * eps()
    statistics = codec.statistics
    by_hand = (z - statistics.mean.view(4, 1, 1)) / statistics.std.view(4, 1, 1)
    found = encoder.x_0(pictures, eps())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), by_hand, rtol=1e-5, atol=1e-5)


def test_rows_and_pictures_give_the_same_bits(codec, pictures):
    for kept in ("sampled", "mean"):
        encoder = LatentEncoder(codec, kept)
        assert torch.equal(encoder.x_0(encoder.rows(pictures), eps()), encoder.x_0(pictures, eps()))


def test_without_noise_x_0_is_what_the_codec_encodes(codec, pictures):
    for kept in ("sampled", "mean"):
        found = LatentEncoder(codec, kept).x_0(pictures)
        torch.testing.assert_close(found, codec.encode(pictures), rtol=1e-3, atol=1e-3)
