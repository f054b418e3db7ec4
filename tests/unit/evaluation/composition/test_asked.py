"""Prompts and their facts; pictures drawn before, by split."""

from __future__ import annotations

import logging

import pytest
import torch

from tests.helpers.small_scenes import small_scenes
from textdiff.data import DataConfig, open_data, to_pil
from textdiff.data.picture_files import save_png
from textdiff.errors import DataError
from textdiff.evaluation.composition.asked import (
    asked_for,
    given_and_real,
    open_given,
    real_of,
    scenes_by_caption,
    scenes_of,
)
from textdiff.evaluation.pictures import PromptedPictures


@pytest.fixture(scope="module")
def config(tmp_path_factory) -> DataConfig:
    return small_scenes(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def splits(config):
    return {split: open_data(config, split) for split in ("val", "test")}


def test_every_wording_says_what_its_scene_holds(splits):
    scenes = scenes_by_caption(splits["test"])
    for captions, scene in zip(splits["test"].captions, splits["test"].scenes, strict=True):
        assert all(scenes[caption].groups == scene.groups for caption in captions)


def test_data_without_facts_are_refused(shapes):
    data = open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "train")
    with pytest.raises(DataError, match=r"without facts.*--data scenes"):
        scenes_of(data)


def test_pictures_of_one_prompt_are_numbered_alike(splits):
    scenes = scenes_by_caption(splits["val"])
    one, other = list(scenes)[:2]
    images = torch.arange(4, dtype=torch.uint8)[:, None, None, None].expand(4, 3, 24, 24)
    asked = asked_for(PromptedPictures([one, "no caption", other, one], images), scenes)
    assert (asked.prompts, asked.prompt.tolist()) == ([one, other], [0, 1, 0])
    assert asked.images[:, 0, 0, 0].tolist() == [0, 2, 3]
    assert [asked.scene_of(k) for k in range(3)] == [scenes[one], scenes[other], scenes[one]]


@pytest.fixture
def drawn(tmp_path, splits):
    """A folder of PNGs for two captions of each split, three pictures in all of each, and one more
    that is of neither."""
    for split, data in splits.items():
        for k, picture in enumerate(to_pil(data.images([0, 0, 1]))):
            prompt = data.captions[k // 2][k % 2]
            save_png(picture, tmp_path / f"{split}-{k}.png", {"prompt": prompt})
    save_png(picture, tmp_path / "other.png", {"prompt": "a cat on a mat"})
    return tmp_path


def test_given_pictures_by_the_split_of_their_prompt(config, splits, drawn, caplog):
    data = config.model_copy(update={"image_size": 32})
    data.model_fields_set.discard("image_size")
    given, sized = open_given(str(drawn), data)
    assert (len(given), sized.image_size, sized.source) == (7, 24, "scenes")
    with caplog.at_level(logging.WARNING):
        pairs = given_and_real(given, splits)
    assert "1 of 7 pictures left out" in caplog.text
    for split, pair in pairs.items():
        captions = splits[split].captions
        assert pair.drawn.prompts == [captions[0][0], captions[0][1], captions[1][0]]
        assert pair.real.prompts == pair.drawn.prompts
        assert pair.real.scenes == pair.drawn.scenes
        expected = real_of(splits[split], pair.drawn.prompts).images
        assert torch.equal(pair.real.images, expected)


def test_pictures_of_other_prompts_are_refused(splits):
    nothing = PromptedPictures(["a cat"], torch.zeros(1, 3, 24, 24, dtype=torch.uint8))
    with pytest.raises(DataError, match=r"no picture of 1 .* scenes val, scenes test.*'a cat'"):
        given_and_real(nothing, splits)
