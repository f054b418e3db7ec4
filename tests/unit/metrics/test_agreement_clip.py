"""CLIP score beside torchmetrics': of the same features, and of pictures with the same weights."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.peers import clip_score_of_torchmetrics, sets
from tests.helpers.transformers_clip import (
    FeaturesOf,
    clip_to_transformers,
    processor_of,
    small_clip,
    tensor_of,
)
from textdiff.clip import image_features
from textdiff.clip.features import text_features
from textdiff.metrics import clip_scores

AGREES = 1e-4  # relative
CAPTIONS = ["a red apple", "Two DOGS, it's 3 o'clock!", "", "naïve café", "a blue car"]


@pytest.fixture(scope="module")
def clip():
    return small_clip()


@pytest.fixture(scope="module")
def pictures():
    rng = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (len(CAPTIONS), 3, 16, 16), generator=rng).byte()


def test_clip_score_of_features_is_torchmetrics():
    x, y = (each.abs() for each in sets(50, 50))
    expected = clip_score_of_torchmetrics(x, y)
    assert clip_scores(x, y).mean().item() == pytest.approx(expected, rel=AGREES)


@torch.no_grad()
def test_features_of_pictures_and_captions_are_those_of_transformers(clip, pictures):
    theirs, processor = clip_to_transformers(clip), processor_of(clip)
    pixels = processor(images=list(pictures), return_tensors="pt")["pixel_values"]
    expected = tensor_of(theirs.get_image_features(pixels))
    torch.testing.assert_close(image_features(clip, pictures), expected, rtol=1e-4, atol=1e-5)
    inputs = processor(text=CAPTIONS, return_tensors="pt", padding=True)
    expected = tensor_of(theirs.get_text_features(inputs["input_ids"], inputs["attention_mask"]))
    torch.testing.assert_close(text_features(clip, CAPTIONS), expected, rtol=1e-4, atol=1e-5)


def test_clip_score_of_pictures_is_torchmetrics(clip, pictures):
    """Pair by pair, as it cuts at 0 after the mean."""
    multimodal = pytest.importorskip("torchmetrics.multimodal.clip_score")
    model, processor = FeaturesOf(clip_to_transformers(clip)), processor_of(clip)
    ours = clip_scores(image_features(clip, pictures), text_features(clip, CAPTIONS))
    assert ours.count_nonzero() >= 2
    for picture, caption, score in zip(pictures, CAPTIONS, ours, strict=True):
        metric = multimodal.CLIPScore(lambda: (model, processor))
        metric.update(picture, caption)
        assert score.item() == pytest.approx(metric.compute().item(), rel=AGREES, abs=1e-4)
