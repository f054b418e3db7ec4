"""Pictures that are judged: which real ones, and that drawn ones are the pipeline's."""

from __future__ import annotations

import pytest
import torch

from textdiff.data import DataConfig, open_data, to_pil
from textdiff.errors import DataError
from textdiff.evaluation.pictures import (
    captioned_pictures,
    choose_prompts,
    draw_pictures,
    real_pictures,
    resized,
)
from textdiff.pipeline.config import SamplingConfig


@pytest.fixture
def data(shapes):
    return open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "train")


def test_real_pictures_are_those_of_their_prompts(data, pipe):
    found = real_pictures(data, 5, 0, pipe)
    assert len(found) == len(set(found.prompts)) == 5
    own = {data.captions[k][0]: data.image(k) for k in range(len(data))}
    for prompt, image in zip(found.prompts, found.images, strict=True):
        assert torch.equal(image, own[prompt])


def test_which_real_pictures_is_a_function_of_the_seed(data, pipe):
    first, same, other = (real_pictures(data, 5, seed, pipe).prompts for seed in (0, 0, 1))
    assert first == same != other
    assert real_pictures(data, 3, 0, pipe).prompts == first[:3]
    assert choose_prompts(data, 5, 0, pipe) == first


def test_captions_that_do_not_fit_are_passed_over(data, pipe, monkeypatch):
    monkeypatch.setattr(type(pipe), "fits", lambda _, prompt: "red" in prompt)
    assert all("red" in prompt for prompt in real_pictures(data, 8, 0, pipe).prompts)
    monkeypatch.setattr(type(pipe), "fits", lambda *_: False)
    with pytest.raises(DataError, match="no caption fits 12 tokens"):
        real_pictures(data, 8, 0, pipe)


def test_all_captioned_pictures_in_their_order(data):
    found = captioned_pictures(data)
    assert found.prompts == [captions[0] for captions in data.captions]
    assert torch.equal(found.images, data.images(range(len(data))))


def test_drawn_pictures_are_those_of_the_pipeline(pipe):
    prompts, settings = ["red circle", "a cross", "blue"], {"num_steps": 2, "batch_size": 2}
    found = draw_pictures(pipe, prompts, SamplingConfig(**settings))
    assert found.prompts == prompts
    expected = pipe(prompts, **settings)
    assert [p.tobytes() for p in to_pil(found.images)] == [p.tobytes() for p in expected]


def test_pictures_of_another_size_are_made_as_those_of_files_are(shapes, data):
    images = data.images(range(3))
    assert resized(images, data.config) is images
    larger = data.config.model_copy(update={"image_size": 24})
    expected = open_data(larger, "train").images(range(3))
    assert torch.equal(resized(images, larger), expected)
