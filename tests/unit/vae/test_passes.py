"""A VAE's passes are bounded in pixels, forwards and backwards, whatever the batch."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.vaes import tiny_vae
from textdiff.pictures import to_float
from textdiff.training.latents import LatentEncoder
from textdiff.vae import LatentCodec, passes
from textdiff.vae.model import decode, encode

COUNT, SIDE = 5, 16
PICTURES = torch.randint(
    0, 256, (COUNT, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(0)
).byte()


@pytest.fixture(scope="module")
def codec():
    return LatentCodec(tiny_vae(), SIDE)


@pytest.fixture
def seen(codec):
    """The batch of each pass, by the part of the network."""
    sizes: list[int] = []
    network = codec.vae.network
    hooks = [
        part.register_forward_pre_hook(lambda _module, inputs: sizes.append(len(inputs[0])))
        for part in (network.encoder, network.decoder)
    ]
    yield sizes
    for hook in hooks:
        hook.remove()


@pytest.fixture
def two_at_once(monkeypatch):
    monkeypatch.setattr(passes, "PIXELS", 2 * SIDE * SIDE)


def test_a_batch_that_fits_is_one_pass_to_the_same_bits(codec, seen):
    images, z = to_float(PICTURES), torch.randn(COUNT, 4, 4, 4)
    with torch.no_grad():
        assert torch.equal(codec.vae.moments(images).mean, encode(codec.vae.network, images).mean)
        assert torch.equal(codec.vae.decode(z), decode(codec.vae.network, z))
    assert seen == [COUNT] * 4


def test_a_larger_one_takes_several_and_says_the_same(codec, seen, two_at_once):
    images, z = to_float(PICTURES), torch.randn(COUNT, 4, 4, 4)
    with torch.no_grad():
        parts, whole = codec.vae.moments(images), encode(codec.vae.network, images)
        torch.testing.assert_close(parts.mean, whole.mean)
        torch.testing.assert_close(parts.logvar, whole.logvar)
        torch.testing.assert_close(codec.vae.decode(z), decode(codec.vae.network, z))
    assert seen == [2, 2, 1, 5, 2, 2, 1, 5]


def test_a_picture_above_the_bound_is_a_pass_of_its_own(codec, seen, monkeypatch):
    monkeypatch.setattr(passes, "PIXELS", SIDE)
    codec.encode(PICTURES)
    assert seen == [1] * COUNT


def test_gradients_are_the_same_and_kept_for_no_part(codec, seen, two_at_once):
    z = torch.randn(COUNT, 4, 4, 4, requires_grad=True)
    direction = torch.randn(COUNT, 3, SIDE, SIDE)
    images = codec.vae.decode(z)
    (found,) = torch.autograd.grad((images * direction).sum(), z)
    assert sorted(seen) == sorted(2 * [2, 2, 1])  # once forwards, once again on the way back
    (want,) = torch.autograd.grad((decode(codec.vae.network, z) * direction).sum(), z)
    torch.testing.assert_close(found, want)


def test_rows_of_a_cache_stay_the_same_bits_whatever_is_beside_them(codec, seen, two_at_once):
    encoder = LatentEncoder(codec)
    together = encoder.rows(PICTURES)
    assert set(seen) == {2}
    alone = torch.cat([encoder.rows(picture[None]) for picture in PICTURES])
    assert torch.equal(together, alone)
