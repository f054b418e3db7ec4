"""What somebody types for an axis, and what becomes of it."""

from __future__ import annotations

import pytest

from textdiff.app.axes import Axis, example, settings_of_cells
from textdiff.app.request import DrawRequest
from textdiff.errors import UsageError
from textdiff.pipeline.config import SamplingConfig

REQUEST = DrawRequest.of({"model": "m", "prompt": ["a cat"], "seed": 7, "guidance_scale": 2})


@pytest.mark.parametrize(
    ("name", "typed", "values"),
    [
        ("guidance_scale", "1, 3,7.5", [1.0, 3.0, 7.5]),
        ("num_steps", " 10 ", [10]),
        ("num_steps", "10\n25", [10, 25]),
        ("sampler", "ddim, dpmpp", ["ddim", "dpmpp"]),
        ("step", "none, 500", [None, 500]),
        ("prompt", "a cat, asleep\na dog", [["a cat, asleep"], ["a dog"]]),
        ("negative_prompt", "blue, red\n\nno", ["blue, red", "", "no"]),
        ("guidance_interval", "[0, 400]\n[400, 999]\nnone", [(0, 400), (400, 999), None]),
        ("text_to_unet", "true", [True]),
    ],
)
def test_values_are_those_that_were_typed(name, typed, values):
    axis = Axis.read(name, typed)
    assert [getattr(axis.applied(REQUEST, k), name) for k in range(len(axis.texts))] == values


def test_settings_of_a_section_are_set_by_their_flag():
    axis = Axis.read("clip_guidance_scale", "0, 2")
    assert [axis.applied(REQUEST, k).clip_guidance.scale for k in (0, 1)] == [0, 2]


def test_all_else_stays():
    varied = Axis.read("guidance_scale", "5").applied(REQUEST, 0)
    assert varied == REQUEST.model_copy(update={"guidance_scale": 5.0})


@pytest.mark.parametrize(
    ("name", "typed", "words"),
    [
        ("guidance_scale", " ", "no values for guidance_scale; type some, such as 1, 3, 7"),
        ("guidance_scale", "1,,3", "an empty value for guidance_scale"),
        ("guidance_scale", "1, 1", "guidance_scale 1 is there twice"),
        ("num_images", "1, 2", "'num_images' is no setting that a comparison can vary"),
        ("__class__", "1", "is no setting"),
    ],
)
def test_what_is_no_axis_is_refused(name, typed, words):
    with pytest.raises(UsageError, match=words):
        Axis.read(name, typed)


@pytest.mark.parametrize(
    ("name", "typed", "words"),
    [
        ("guidance_scale", "much", "guidance_scale.*much"),
        ("sampler", "dim", "sampler.*dim"),
        ("num_steps", "0", "num_steps.*0"),
        ("judge", "j", "judge with best_of 1"),
    ],
)
def test_a_value_that_cannot_be_is_named(name, typed, words):
    with pytest.raises(UsageError, match=words):
        Axis.read(name, typed).applied(REQUEST, 0)


def test_every_setting_of_sample_can_be_varied_but_those_of_amount_and_cost():
    names = set(settings_of_cells())
    assert {"prompt", "model", "step", "seed", "eta", *SamplingConfig.short_names} <= names
    assert not names & {"num_images", "batch_size", "graphs", "strict", "mask", "init_image"}
    assert [*settings_of_cells()][:2] == ["guidance_scale", "num_steps"]
    assert all(example(name) for name in names)


def test_labels_name_the_setting_but_for_prompts():
    assert Axis.read("guidance_scale", "1, 3").label(1) == "guidance_scale 3"
    assert Axis.read("prompt", "a cat").label(0) == "a cat"
    assert Axis.read("negative_prompt", "a\n\nb").label(1) == "negative_prompt (empty)"
