"""Codecs between stored pictures and what is diffused, and pictures in black and white."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.vaes import tiny_vae
from textdiff.pictures import BitCodec, PictureCodec, PixelCodec, binarised, to_float, to_uint8
from textdiff.vae import LatentCodec


def test_binarised_is_the_grey_level():
    colours = [
        [255, 255, 255],
        [0, 0, 0],
        [128, 128, 128],
        [127, 127, 127],
        [0, 255, 0],
        [0, 0, 255],
    ]
    image = torch.tensor(colours, dtype=torch.uint8).view(-1, 3, 1, 1)
    assert binarised(image).flatten().tolist() == [1, -1, 1, -1, 1, -1]
    assert binarised(image, 0.6).flatten().tolist() == [1, -1, -1, -1, -1, -1]
    assert torch.equal(binarised(image[:4, :1]), binarised(image[:4]))


def test_floats_to_bytes():
    values = torch.tensor([-3.0, -1.0, 0.0, 0.5, 1.0, 3.0])
    assert to_uint8(values).tolist() == [0, 0, 128, 191, 255, 255]


def test_every_level_survives_the_way_there_and_back():
    levels = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_uint8(to_float(levels)), levels)


# The same of every kind of codec

SIDE = 8
PICTURES = torch.randint(0, 256, (3, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(0))
PICTURES = PICTURES.to(torch.uint8)
KINDS = {
    "pixels": (lambda: PixelCodec(SIDE), (3, 8, 8)),
    "bits": (lambda: BitCodec(SIDE), (1, 8, 8)),
    "latents": (lambda: LatentCodec(tiny_vae(), SIDE), (4, 2, 2)),
}


@pytest.fixture(params=list(KINDS))
def kind(request):
    return request.param


@pytest.fixture
def codec(kind):
    return KINDS[kind][0]()


def test_codecs_say_what_they_encode_to(kind, codec):
    assert isinstance(codec, PictureCodec)
    x_0 = codec.encode(PICTURES)
    assert x_0.shape[1:] == codec.shape == KINDS[kind][1]
    assert codec.encode(PICTURES, torch.float64).dtype == torch.float64
    assert codec.bounded == (x_0.abs().max() <= 1)
    for pictures in (codec.decode(x_0), codec.preview(x_0)):
        assert (pictures.shape, pictures.dtype) == (PICTURES.shape, torch.uint8)
        assert pictures.shape[-1] == codec.image_size


def test_the_way_there_and_back(kind, codec):
    """Of pixels nothing is lost; of the others what comes back is what `images` shows."""
    x_0 = codec.encode(PICTURES)
    again = codec.decode(x_0)
    assert torch.equal(again, to_uint8(codec.images(x_0)))
    if kind == "pixels":
        assert torch.equal(again, PICTURES)


def test_a_picture_alone_is_the_same_as_among_others(codec):
    x_0 = codec.encode(PICTURES)
    torch.testing.assert_close(codec.encode(PICTURES[1:2]), x_0[1:2])
    apart = codec.decode(x_0[1:2]).int() - codec.decode(x_0)[1:2].int()
    assert apart.abs().max() <= 1


def test_gradients_flow_from_what_is_seen_to_what_is_diffused(codec):
    x_0 = codec.encode(PICTURES).requires_grad_()
    codec.images(x_0).square().sum().backward()
    assert x_0.grad.flatten(1).norm(dim=1).gt(0).all()


def test_bits_are_previewed_in_greys_and_decoded_in_black_and_white():
    x_0_hat = torch.tensor([-1.0, -0.5, 0.5, 1.0]).view(1, 1, 2, 2)
    codec = BitCodec(2)
    assert codec.decode(x_0_hat)[0, 0].flatten().tolist() == [0, 0, 255, 255]
    assert codec.preview(x_0_hat)[0, 0].flatten().tolist() == [0, 64, 191, 255]
