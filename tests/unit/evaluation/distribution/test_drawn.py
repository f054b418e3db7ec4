"""Given pictures: their size, and those of a prompt together."""

from __future__ import annotations

import shutil

import pytest
import torch

from tests.helpers.extractors import MeanColours
from textdiff.data import DataConfig
from textdiff.errors import UsageError
from textdiff.evaluation.distribution.drawn import draw, open_given, size_of_given
from textdiff.evaluation.features.cached import CachedFeatures
from textdiff.evaluation.features.ranks import Ranks

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
