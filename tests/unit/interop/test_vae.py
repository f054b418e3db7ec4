"""A VAE for stock pipelines: its latents are normalised, its pictures the same."""

from __future__ import annotations

import pytest
import torch
from diffusers import AutoencoderKL

from tests.helpers.vaes import TINY, tiny_vae
from textdiff.errors import CheckpointError
from textdiff.interop.vae import vae_to_diffusers
from textdiff.vae import LatentStatistics, Vae
from textdiff.vae.source import build_network

CLOSE = {"rtol": 1e-5, "atol": 1e-5}


def without_convolutions() -> Vae:
    """As some hub models are: no layer of 1x1 behind the encoder, none before the decoder."""
    torch.manual_seed(0)
    options = {**TINY.to_diffusers(), "use_quant_conv": False, "use_post_quant_conv": False}
    vae = Vae(build_network(options)).frozen()
    assert vae.network.quant_conv is None
    mean, std = torch.tensor([-3.0, 0.0, 0.5, 8.0]), torch.tensor([0.1, 1.0, 4.0, 9.0])
    vae.statistics = LatentStatistics(mean, std, 1, "nothing", vae.identity)
    return vae


@pytest.mark.parametrize("make", [tiny_vae, without_convolutions])
def test_latents_are_normalised_and_pictures_the_same(make, tmp_path):
    """Read back by diffusers itself."""
    vae = make()
    assert vae.statistics.mean.abs().max() > 0.1  # which a scaling_factor does not say
    vae_to_diffusers(vae, tmp_path / "vae")
    theirs = AutoencoderKL.from_pretrained(tmp_path / "vae")
    assert (theirs.config.scaling_factor, theirs.config.shift_factor) == (1.0, None)
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    with torch.no_grad():
        found, expected = theirs.encode(images).latent_dist, vae.moments(images)
        torch.testing.assert_close(found.mean, vae.statistics.normalise(expected.mean), **CLOSE)
        deviation = (0.5 * expected.logvar).exp() / vae.statistics.std.view(1, -1, 1, 1)
        torch.testing.assert_close(found.std, deviation, **CLOSE)
        z = torch.randn(2, 4, 4, 4)
        pictures = vae.decode(vae.statistics.restore(z))
        torch.testing.assert_close(theirs.decode(z).sample, pictures, rtol=1e-4, atol=1e-4)


def test_a_vae_whose_latents_nobody_measured_is_refused():
    with pytest.raises(CheckpointError, match="no statistics of its latents"):
        vae_to_diffusers(Vae(tiny_vae().network))
