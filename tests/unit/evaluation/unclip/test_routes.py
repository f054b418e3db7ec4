"""The ways to pictures: whose embedding each draws, what each is called, what it costs."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.helpers.unets import remade
from textdiff import TextToImage
from textdiff.clip.features import image_features
from textdiff.data import DataConfig, open_data
from textdiff.errors import UsageError
from textdiff.evaluation.unclip.routes import (
    OWN_EMBEDDING,
    TEXT_CONDITIONAL,
    TEXT_EMBEDDING,
    draw_route,
    load_decoder,
    load_model,
    parameters_of,
    prior_names,
    routes_of,
)
from textdiff.pipeline.config import SamplingConfig
from textdiff.pipeline.prior import Prior
from textdiff.pipeline.unclip import text_embeddings

PROMPTS = ["red circle", "green cross"]
CONFIG = SamplingConfig(num_steps=2, prior_steps=3, seed=5)


@pytest.fixture(scope="module")
def decoder(tiny_decoder) -> TextToImage:
    return load_decoder(str(tiny_decoder), "cpu")


@pytest.fixture(scope="module")
def images(shapes):
    data = open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "train")
    return data.images(range(2))


def test_each_route_has_its_embeddings(decoder, images, pipe, tiny_prior):
    routes = routes_of(decoder, PROMPTS, images, CONFIG, model=pipe, priors=[str(tiny_prior)])
    names = [TEXT_CONDITIONAL, TEXT_EMBEDDING, "diffusion prior", OWN_EMBEDDING]
    assert [route.name for route in routes] == names
    of_model, of_text, of_prior, of_pictures = routes
    assert of_model.embed is None
    assert torch.equal(of_text.embed(2), text_embeddings(decoder.clip, PROMPTS))
    prior = Prior.load(tiny_prior, "cpu")
    torch.testing.assert_close(of_prior.embed(2), prior(PROMPTS, seed=5, num_steps=3))
    own = F.normalize(image_features(decoder.clip, images), dim=1)
    assert torch.equal(of_pictures.embed(2), own)
    assert of_prior.parameters - of_text.parameters == parameters_of(prior.network)
    assert of_model.parameters == parameters_of(pipe.unet) < of_text.parameters


def test_a_route_draws_its_embedding_from_the_noise_of_the_seed(decoder, images):
    *_, of_pictures = routes_of(decoder, PROMPTS, images, CONFIG)
    drawn = draw_route(of_pictures, PROMPTS, CONFIG)
    plan = decoder.plan(PROMPTS, CONFIG, image=of_pictures.embed(2))
    assert torch.equal(drawn.images, decoder.draw(plan))
    assert 0 < drawn.embedding_seconds < drawn.seconds


def test_priors_of_one_kind_are_told_apart_by_their_folders():
    kinds = {"a": "diffusion", "b": "diffusion", "c": "autoregressive"}
    assert prior_names(kinds) == {
        "a": "diffusion prior (a)",
        "b": "diffusion prior (b)",
        "c": "autoregressive prior",
    }


def test_a_decoder_and_a_model_take_each_others_place_nowhere(tiny_run, tiny_decoder, decoder):
    with pytest.raises(UsageError, match=r"is no unCLIP decoder, .* and this one as --model"):
        load_decoder(str(tiny_run), "cpu")
    with pytest.raises(UsageError, match=r"is an unCLIP decoder, .* or this one as --decoder"):
        load_model(str(tiny_decoder), decoder, "cpu")


def test_pictures_of_another_size_do_not_compare(tiny_run, decoder):
    larger = remade(decoder, image_size=32)
    with pytest.raises(UsageError, match="noise of 3 x 16 x 16, --decoder from noise of 3 x 32 x"):
        load_model(str(tiny_run), larger, "cpu")
