"""Features in chunks are those of the towers, in order."""

from __future__ import annotations

import pytest
import torch

from textdiff.clip import ClipModel, NoisedClip, NoisedClipConfig, image_features, text_features

CAPTIONS = [f"{colour} {shape}" for colour in ("red", "blue") for shape in ("circle", "square")]


@pytest.fixture(autouse=True)
def _short_chunks(monkeypatch):
    monkeypatch.setattr("textdiff.clip.features.CHUNK", 3)


def test_pictures_in_chunks(tiny_clip):
    clip = ClipModel.load(tiny_clip)
    images = torch.randint(0, 256, (7, 3, 20, 20), dtype=torch.uint8)
    features = image_features(clip, images)
    torch.testing.assert_close(features, clip.encode_image(images))
    assert not features.requires_grad


def test_captions_in_chunks(tiny_clip):
    clip = ClipModel.load(tiny_clip)
    features = text_features(clip, CAPTIONS)
    torch.testing.assert_close(features, clip.encode_text(CAPTIONS).projected)
    assert not features.requires_grad


def test_captions_of_a_noised_clip(tiny_clip):
    clip = ClipModel.load(tiny_clip)
    config = NoisedClipConfig(image_size=16, schedule={"num_timesteps": 10})
    noised = NoisedClip(ClipModel.load(tiny_clip), config)
    assert torch.equal(text_features(noised, CAPTIONS), text_features(clip, CAPTIONS))


def test_equal_pictures_and_captions_have_equal_features(tiny_clip):
    """To the bit, in whatever chunk: a search that compares them must see a tie."""
    clip = ClipModel.load(tiny_clip)
    images = torch.randint(0, 256, (3, 3, 20, 20), dtype=torch.uint8).repeat(3, 1, 1, 1)
    features = image_features(clip, images)
    assert torch.equal(features[:3], features[3:6])
    assert torch.equal(features[:3], features[6:])
    texts = text_features(clip, [*CAPTIONS[:2], *CAPTIONS[:3], *CAPTIONS])
    assert torch.equal(texts[:2], texts[2:4])
    assert torch.equal(texts[:2], texts[5:7])
