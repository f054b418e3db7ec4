"""CLIP's logit as a reward: of a tiny real CLIP, clean and noised."""

from __future__ import annotations

import pytest
import torch

from textdiff.clip import ClipConfig, ClipModel, NoisedClip, NoisedClipConfig
from textdiff.guidance.similarity import image_encoder, similarity, unit_text_features

PROMPTS = ["red circle", "green cross"]
IMAGES = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
TIMESTEP = torch.tensor([3, 70])


@pytest.fixture(scope="module")
def clean() -> ClipModel:
    config = {
        "image": {"image_size": 16, "patch_size": 8, "width": 32, "heads": 2, "layers": 1},
        "text": {"context_length": 12, "width": 32, "heads": 2, "layers": 1},
        "embed_dim": 32,
    }
    return ClipModel.build(ClipConfig(**config), seed=0).freeze()


@pytest.fixture(scope="module")
def noised(clean) -> NoisedClip:
    config = NoisedClipConfig(image_size=16, schedule={"name": "cosine", "num_timesteps": 100})
    noised = NoisedClip(clean, config)
    torch.manual_seed(0)
    for parameter in noised.time.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return noised.freeze()


def test_the_reward_is_the_logit(clean):
    target = unit_text_features(clean, PROMPTS)
    found = similarity(image_encoder(clean), target, clean.logit_scale)(IMAGES, TIMESTEP)
    images, texts, scale = clean(IMAGES, PROMPTS)
    torch.testing.assert_close(found, (scale * images @ texts.T).diagonal())


def test_a_noised_clip_is_told_the_timestep_and_a_clean_one_not(clean, noised):
    later = TIMESTEP + 20
    assert torch.equal(image_encoder(clean)(IMAGES, TIMESTEP), image_encoder(clean)(IMAGES, later))
    difference = image_encoder(noised)(IMAGES, TIMESTEP) - image_encoder(noised)(IMAGES, later)
    assert (difference.abs().amax(1) > 1e-3).all()


@pytest.mark.parametrize("kind", ["clean", "noised"])
def test_features_have_unit_length(kind, request):
    features = image_encoder(request.getfixturevalue(kind))(IMAGES, TIMESTEP)
    torch.testing.assert_close(features.norm(dim=-1), torch.ones(2))
