"""Pictures in black and white."""

from __future__ import annotations

import pytest
import torch

from textdiff.pictures import BitCodec, PixelCodec, binarised, to_float, to_uint8


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


PICTURES = torch.arange(2 * 3 * 4 * 4).view(2, 3, 4, 4).to(torch.uint8)


@pytest.mark.parametrize(("codec", "channels"), [(PixelCodec(4), 3), (BitCodec(4), 1)])
def test_codecs_say_what_they_encode_to(codec, channels):
    x_0 = codec.encode(PICTURES)
    assert x_0.shape[1:] == codec.shape == (channels, 4, 4)
    assert codec.encode(PICTURES, torch.float64).dtype == torch.float64
    for pictures in (codec.decode(x_0), codec.preview(x_0)):
        assert (pictures.shape, pictures.dtype) == (PICTURES.shape, torch.uint8)


def test_bits_are_previewed_in_greys_and_decoded_in_black_and_white():
    x_0_hat = torch.tensor([-1.0, -0.5, 0.5, 1.0]).view(1, 1, 2, 2)
    codec = BitCodec(2)
    assert codec.decode(x_0_hat)[0, 0].flatten().tolist() == [0, 0, 255, 255]
    assert codec.preview(x_0_hat)[0, 0].flatten().tolist() == [0, 64, 191, 255]
