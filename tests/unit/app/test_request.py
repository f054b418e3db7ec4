"""What requests are refused for, and what of a picture's settings is taken from a stranger."""

from __future__ import annotations

import dataclasses
import json

import pytest
from PIL import Image

from textdiff.app.engine import Engine
from textdiff.app.request import LARGEST_SEED, DrawRequest
from textdiff.app.settings import UiSettings
from textdiff.data.picture_files import png_bytes
from textdiff.errors import DataError, UsageError

LIMITS = {"images": 4, "steps": 10, "candidates": 2, "cutouts": 3, "prompt_length": 20}


@pytest.fixture(scope="module")
def engine(tiny_run, tiny_clip, tmp_path_factory):
    flags = {"model": [str(tiny_run)], "judge": [str(tiny_clip)], "limits": LIMITS}
    engine = Engine(UiSettings(**flags, gallery=str(tmp_path_factory.mktemp("gallery"))))
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def usual(tiny_run):
    return {"model": str(tiny_run), "prompt": ["red circle"], "num_steps": 2}


def test_keys_are_the_flags_of_sample(usual):
    request = DrawRequest.of({**usual, "best_of": 2, "judge": "j", "clip_guidance_scale": 1})
    assert (request.selection.best_of, request.selection.judge) == (2, "j")
    assert request.clip_guidance.scale == 1
    assert DrawRequest.of({**usual, "prompt": ["a", "b"], "num_images": 2}).prompts == list("aabb")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"prompt": []}, "prompt: List should have at least 1 item"),
        ({"prompt": "red circle"}, "prompt: Input should be a valid list"),
        ({"num_stepz": 4}, "unknown key 'num_stepz'; did you mean 'num_steps'?"),
        ({"guidance_scale": "much"}, "guidance_scale: Input should be a valid number"),
        ({"guidance_scale": float("nan")}, "guidance_scale: Input should be a finite number"),
        ({"num_images": 0}, "num_images: Input should be greater than or equal to 1"),
        ({"strength": 2}, "strength: Input should be less than or equal to 1"),
    ],
)
def test_wrong_values(usual, changes, expected):
    with pytest.raises(UsageError, match="the request: ") as caught:
        DrawRequest.of({**usual, **changes})
    assert expected in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"num_images": 5}, "pictures (prompts x num_images): 5 asked for, and 4 is the most here"),
        ({"prompt": ["a"] * 3, "num_images": 2}, "pictures (prompts x num_images): 6 asked for"),
        ({"num_steps": 11}, "num_steps: 11 asked for, and 10 is the most"),
        ({"timesteps": list(range(11))}, "num_steps: 11 asked for"),
        ({"best_of": 3}, "best_of: 3 asked for"),
        ({"clip_cutouts": 4}, "clip_cutouts: 4 asked for"),
        ({"clip_prompts": ["a"] * 5}, "clip_prompts: 5 asked for"),
        ({"prompt": ["a" * 21]}, "letters of a prompt: 21 asked for"),
        ({"negative_prompt": "a" * 21}, "letters of a prompt: 21"),
        ({"clip_prompts": ["a" * 21]}, "letters of a prompt: 21"),
        ({"seed": LARGEST_SEED + 1}, "seed: "),
        ({"seed": -LARGEST_SEED - 1}, "seed: "),
        ({"model": "/etc"}, "model '/etc' is not one that this server has: "),
        ({"clip_guide": "../clip"}, "clip_guide '../clip' is not one that this server has: "),
        ({"best_of": 2, "judge": "ViT-B-32/openai"}, "judge 'ViT-B-32/openai' is not one"),
    ],
)
def test_beyond_the_limits(engine, usual, changes, expected):
    with pytest.raises(UsageError) as caught:
        engine.draw(DrawRequest.of({**usual, **changes}))
    assert expected in str(caught.value)
    assert engine.jobs.length == 0


@pytest.mark.parametrize("name", ["init_image", "mask", "clip_image"])
@pytest.mark.parametrize("given", ["/etc/passwd", "../secret", "0" * 24, "0" * 64, "", "\0"])
def test_a_picture_is_an_id_and_never_a_path(engine, usual, name, given):
    with pytest.raises(DataError, match="has the id"):
        engine.draw(DrawRequest.of({**usual, name: given}))


# Settings out of a picture


@pytest.fixture(scope="module")
def drawn(engine, usual, tiny_clip):
    """A picture, and its settings as they stand in it."""
    chosen = {"best_of": 2, "judge": str(tiny_clip), "negative_prompt": "blue", "seed": 5}
    result = engine.draw(DrawRequest.of({**usual, **chosen, "num_images": 2})).result()
    return result.pictures[1], result.origins[1].to_json()


def test_settings_come_back(engine, drawn):
    recalled = engine.recall(png_bytes(*drawn))
    assert recalled.left_out == ()
    again = engine.draw(recalled.request).result()
    assert list(again.pictures[0].getdata()) == list(drawn[0].getdata())
    assert again.origins[0].index == 1


def test_a_stranger_names_no_model_and_no_clip(engine, drawn, tiny_run):
    picture, known = drawn
    hostile = {**known, "model": {"name": "/etc"}, "judge": "ViT-B-32/openai"}
    recalled = engine.recall(png_bytes(picture, hostile))
    assert recalled.request.model == str(tiny_run)
    assert recalled.request.selection.judge is None
    assert [line.split(" is ")[0] for line in recalled.left_out] == [
        "its model /etc",
        "its judge ViT-B-32/openai",
    ]


def test_a_stranger_names_no_file(engine, drawn, tmp_path):
    picture, known = drawn
    secret = tmp_path / "secret.png"
    Image.new("RGB", (16, 16)).save(secret)
    files = {"init_image": str(secret), "sha256": {"init_image": "0" * 64}, "strength": 0.5}
    recalled = engine.recall(png_bytes(picture, {**known, **files}))
    assert recalled.request.init_image is None
    assert recalled.request.strength is None
    assert recalled.left_out == ("its init_image is not here; upload it again",)


def test_an_upload_that_is_still_here_comes_back(engine, usual):
    file = png_bytes(Image.new("RGB", (16, 16), "red"), {"prompt": ""})
    ids = {"init_image": engine.uploads.add(file), "mask": engine.uploads.add(file)}
    kept = engine.draw(DrawRequest.of({**usual, **ids, "strength": 0.5})).result().ids[0]
    recalled = engine.recall(engine.gallery.png(kept))
    assert recalled.left_out == ()
    assert {name: getattr(recalled.request, name) for name in ids} == ids


@pytest.mark.parametrize(
    "text", ["{", "[]", "[" * 100_000, '{"prompt": 1}', '{"row": 1e999}', "9" * 5000]
)
def test_settings_that_are_damaged(engine, drawn, text, tmp_path):
    from PIL.PngImagePlugin import PngInfo

    info, path = PngInfo(), tmp_path / "odd.png"
    info.add_itxt("textdiff", text)
    drawn[0].save(path, pnginfo=info)
    with pytest.raises(UsageError, match="settings are damaged"):
        engine.recall(path.read_bytes())


def test_a_picture_without_settings(engine, tmp_path):
    path = tmp_path / "plain.png"
    Image.new("RGB", (16, 16)).save(path)
    with pytest.raises(UsageError, match="holds no settings"):
        engine.recall(path.read_bytes())


def test_settings_beyond_the_limits_are_refused_when_they_are_drawn(engine, drawn):
    picture, known = drawn
    recalled = engine.recall(png_bytes(picture, {**known, "num_steps": 1000}))
    with pytest.raises(UsageError, match="num_steps: 1000 asked for"):
        engine.draw(recalled.request)
    assert json.loads(json.dumps(dataclasses.asdict(recalled)["left_out"])) == []
