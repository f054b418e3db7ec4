"""Whose embedding is drawn: a prior's, a picture's or one that is given; what is refused."""

from __future__ import annotations

import math

import pytest
import torch
from PIL import Image

from textdiff import TextToImage
from textdiff.clip import ClipModel
from textdiff.errors import UsageError
from textdiff.pipeline.config import SamplingConfig
from textdiff.pipeline.prior import Prior
from textdiff.pipeline.unclip import text_embeddings

FEW = {"num_steps": 3, "guidance_scale": 1.0}


@pytest.fixture(scope="session")
def decoder(tiny_decoder) -> TextToImage:
    return TextToImage.load(tiny_decoder, "cpu")


@pytest.fixture
def picture() -> Image.Image:
    generator = torch.Generator().manual_seed(5)
    levels = torch.randint(0, 256, (20, 20, 3), dtype=torch.uint8, generator=generator)
    return Image.fromarray(levels.numpy())


def test_a_prior_gives_the_embeddings_of_the_prompts(decoder, tiny_prior):
    prior = Prior.load(tiny_prior, "cpu")
    config = SamplingConfig(**FEW, seed=3, prior=str(tiny_prior), prior_steps=4)
    plan = decoder.plan(["red circle", "green cross"], config, first=2)
    expected = prior(["red circle", "green cross"], first=2, num_steps=4, seed=3)
    torch.testing.assert_close(plan.image, expected)
    assert plan.prior_weights == prior.weights_hash()


def test_text_in_place_of_a_prior_gives_the_captions_own_embedding(decoder):
    plan = decoder.plan("red circle", SamplingConfig(**FEW, prior="text"))
    expected = text_embeddings(decoder.clip, ["red circle"])
    assert torch.equal(plan.image, expected)
    assert plan.prior_weights is None


@pytest.mark.parametrize(
    ("settings", "pictures", "message"),
    [
        ({}, [], "unCLIP decoder, which draws from the embedding of a picture; give a prior"),
        ({"prior": "text"}, ["vary"], "prior and vary both give the embedding"),
        ({}, ["vary_to"], "vary_to without vary"),
        ({"share": 0.5}, ["vary"], "share says how far .* give one of them"),
        ({}, ["vary", "vary_to"], "share says how far .* from 0 to 1"),
        ({"text_from": "a", "share": 0.5}, ["vary"], "text_from and text_to belong together"),
        (
            {"text_from": "a", "text_to": "b", "share": 0.5},
            ["vary", "vary_to"],
            "vary_to and text_to both say where to",
        ),
        ({"keep_noise": True, "sampler": "unipc"}, ["vary"], "keep_noise takes DDIM back"),
    ],
)
def test_what_does_not_go_together_is_refused(decoder, picture, settings, pictures, message):
    with pytest.raises(UsageError, match=message):
        decoder("red circle", **FEW, **settings, **dict.fromkeys(pictures, picture))


@pytest.mark.parametrize("settings", [{"prior": "text"}, {"keep_noise": True}])
def test_a_model_that_is_no_decoder_refuses_a_prior(pipe, settings):
    with pytest.raises(UsageError, match="with a model that is no unCLIP decoder"):
        pipe("red circle", **FEW, **settings)


def test_a_model_that_is_no_decoder_refuses_a_picture_to_vary(pipe, picture):
    with pytest.raises(UsageError, match="vary with a model that is no unCLIP decoder"):
        pipe("red circle", **FEW, vary=picture)


def test_a_prior_of_another_clip_is_refused_with_both_hashes(
    tmp_path, decoder, tiny_prior, other_clip
):
    prior = Prior.load(tiny_prior, "cpu")
    clip = ClipModel.load(other_clip)
    space = prior.config.space.model_copy(update={"clip_weights": clip.weights_hash()})
    config = prior.config.model_copy(update={"space": space})
    Prior(prior.network, clip, config).save(tmp_path / "prior")
    hashes = f"{clip.weights_hash()}.*{decoder.clip.weights_hash()}"
    with pytest.raises(UsageError, match=hashes):
        decoder("red circle", **FEW, prior=str(tmp_path / "prior"))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (torch.ones(2, 3), r"embeddings \(2, 3\) for 1 pictures"),
        (torch.full((1, 32), math.nan), "NaN"),
        (torch.zeros(1, 32), "a row of zeros"),
    ],
)
def test_embeddings_that_cannot_be_drawn_are_refused(decoder, image, message):
    assert decoder.clip.embed_dim == 32
    with pytest.raises(UsageError, match=message):
        decoder.plan("red circle", SamplingConfig(**FEW), image=image)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"prior": "text"}, "prior and image both give the embedding"),
        ({"share": 0.5}, "share without vary"),
        ({"text_from": "a"}, "text_from without vary"),
        ({"text_to": "b"}, "text_to without vary"),
        ({"keep_noise": True}, "keep_noise without vary"),
    ],
)
def test_settings_of_another_source_are_refused_beside_embeddings(decoder, settings, message):
    with pytest.raises(UsageError, match=message):
        decoder.plan("red", SamplingConfig(**FEW, **settings), image=torch.ones(1, 32))
