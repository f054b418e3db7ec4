"""Given pictures: their size, and those of a prompt together."""

from __future__ import annotations

import shutil

import pytest
import torch

from tests.helpers.extractors import MeanColours
from textdiff.data import DataConfig, open_data
from textdiff.errors import UsageError
from textdiff.evaluation.distribution.drawn import draw, open_given, size_of_given
from textdiff.evaluation.features.cached import CachedFeatures
from textdiff.evaluation.features.ranks import Ranks
from textdiff.pipeline.config import SamplingConfig

LENIENT = DataConfig(min_side=4)


def test_the_size_of_given_pictures_is_their_own(shapes):
    assert size_of_given(str(shapes), LENIENT) == 16
    asked = DataConfig(min_side=4, image_size=24)
    assert size_of_given(str(shapes), asked) == 24


def test_pictures_of_several_sizes(shapes, tmp_path):
    from PIL import Image

    folder = shutil.copytree(shapes, tmp_path / "sizes")
    with Image.open(folder / "red-circle.png") as picture:
        picture.resize((20, 24)).save(folder / "red-circle.png")
    with pytest.raises(UsageError, match=r"16 to 20 pixels\); give --data.image-size"):
        size_of_given(str(folder), LENIENT)


def test_pictures_shown_are_those_of_the_features(shapes):
    config = LENIENT.model_copy(update={"image_size": 16})
    drawn = open_given(CachedFeatures(MeanColours()), str(shapes), config)
    shown = drawn.show([3, 0])
    assert torch.equal(shown.float().mean(dim=(2, 3)), drawn.features.features[[3, 0]])
    assert drawn.per_prompt == 1


def test_drawing_is_for_one_process():
    by = CachedFeatures(MeanColours(), ranks=Ranks(0, 2))
    numbers = {"num_prompts": 2, "num_images": 1, "prompt_seed": 0}
    with pytest.raises(UsageError, match="--model draws in one process"):
        draw(by, None, "m", None, None, **numbers)


def test_drawn_pictures_are_resized_to_the_size_at_which_they_are_compared(shapes, pipe):
    data = open_data(LENIENT.model_copy(update={"source": str(shapes), "image_size": 16}), "train")
    by, numbers = CachedFeatures(MeanColours()), {"num_prompts": 2, "num_images": 1}
    sampling = SamplingConfig(num_steps=2)
    own, larger = (
        draw(by, pipe, "m", data, sampling, **numbers, prompt_seed=0, side=side)
        for side in (None, 32)
    )
    assert (own.image_size, larger.image_size, larger.model.image_size) == (16, 32, 16)
    assert (own.show([0, 1]).shape, larger.show([0, 1]).shape) == ((2, 3, 16, 16), (2, 3, 32, 32))
    means = larger.show([0, 1]).float().mean(dim=(2, 3))
    assert torch.equal(means, larger.features.features)
    assert torch.allclose(means, own.features.features, atol=8)
