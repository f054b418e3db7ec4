"""What a U-Net makes of a picture: W_t z_i beside the timestep, and four more tokens of text."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from tests.helpers.unets import IMAGE_DIM, SMALL, TEXT_DIM, draw_inputs, trained
from textdiff.models import UNet
from textdiff.types import Conditioning

DECODER = SMALL.model_copy(update={"image_dim": IMAGE_DIM})


def test_the_output_is_that_of_the_same_network_with_the_tokens_given_as_text():
    """W_t z_i is put into the timestep's bias, W z_i into the text, of a U-Net without z_i."""
    decoder, plain = trained(DECODER), UNet(SMALL)
    x_t, timestep, given = draw_inputs(DECODER, batch=1)
    weights = decoder.state_dict()
    of_image = {name: weights.pop(name) for name in list(weights) if "image_embedding" in name}
    beside_time = F.linear(
        given.image,
        of_image["image_embedding.to_time.weight"],
        of_image["image_embedding.to_time.bias"],
    )
    bias = "time_embedding.linear_2.bias"
    weights[bias] = weights[bias] + beside_time[0]
    plain.load_state_dict(weights)
    tokens = F.linear(
        given.image,
        of_image["image_embedding.to_tokens.weight"],
        of_image["image_embedding.to_tokens.bias"],
    ).view(1, 4, TEXT_DIM)
    text = Conditioning(
        torch.cat([given.tokens, tokens], dim=1),
        given.pooled,
        torch.cat([given.mask, torch.ones(1, 4, dtype=torch.bool)], dim=1),
    )
    torch.testing.assert_close(decoder(x_t, timestep, given), plain(x_t, timestep, text))


def test_without_a_mask_the_tokens_are_seen_too():
    decoder = trained(DECODER)
    x_t, timestep, given = draw_inputs(DECODER)
    given = replace(given, mask=None)
    other = replace(given, image=given.image.roll(1, 0))
    assert not torch.allclose(decoder(x_t, timestep, given), decoder(x_t, timestep, other))


@pytest.mark.parametrize("part", ["to_time", "to_tokens"])
def test_either_way_alone_carries_the_picture(part):
    decoder = trained(DECODER)
    torch.nn.init.zeros_(getattr(decoder.image_embedding, part).weight)
    x_t, timestep, given = draw_inputs(DECODER)
    other = replace(given, image=given.image.roll(1, 0))
    assert not torch.allclose(decoder(x_t, timestep, given), decoder(x_t, timestep, other))


def test_a_network_that_is_no_decoder_ignores_the_picture():
    unet = trained(SMALL)
    x_t, timestep, given = draw_inputs(SMALL)
    assert torch.equal(unet(x_t, timestep, given), unet(x_t, timestep, replace(given, image=None)))


@pytest.mark.parametrize(
    ("image", "what"),
    [(None, "missing"), (torch.ones(3, IMAGE_DIM + 1), f"{IMAGE_DIM + 1} wide")],
)
def test_a_decoder_without_its_picture_says_so(image, what):
    x_t, timestep, given = draw_inputs(DECODER)
    with pytest.raises(ValueError, match=f"image embedding of the conditioning: {what}.*width 7"):
        trained(DECODER)(x_t, timestep, replace(given, image=image))
