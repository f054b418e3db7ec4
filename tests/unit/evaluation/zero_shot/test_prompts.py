"""Templates from files and sets, and the captions of scenes as prompts."""

from __future__ import annotations

import open_clip
import pytest

from textdiff.errors import UsageError
from textdiff.evaluation.zero_shot.prompts import prompts_of, read_templates, scene_prompts


@pytest.fixture
def read(tmp_path):
    def templates(text: str) -> tuple[str, ...]:
        (tmp_path / "t.txt").write_text(text)
        return read_templates(str(tmp_path / "t.txt"))

    return templates


def test_a_file_of_templates(read):
    assert read("a {}\n\n  the {} here\r\n") == ("a {}", "the {} here")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no template"),
        ("\n", "has no template"),
        ("a {}\na photo\n", "line 2: 'a photo' has no {}; give one"),
        ("{} and {}\n", "line 1: '{} and {}' has 2 {}; give one"),
        ("a {}\nthe {}\na {} \n", "line 3: 'a {}' is in line 1 already"),
    ],
)
def test_unusable_templates(read, text, message):
    with pytest.raises(UsageError) as error:
        read(text)
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "templates"),
    [
        ("imagenet", open_clip.OPENAI_IMAGENET_TEMPLATES),
        ("simple", open_clip.SIMPLE_IMAGENET_TEMPLATES),
    ],
)
def test_open_clips_sets(name, templates):
    filled = prompts_of(name, ["great white shark", "{}"])
    assert filled.texts[0] == tuple(fill("great white shark") for fill in templates)
    assert filled.texts[1] == filled.templates
    assert len(filled.texts[0]) == {"imagenet": 80, "simple": 7}[name]


def test_plain_and_bare_names():
    assert prompts_of("plain", ["cat"]).texts == (("a photo of a cat.",),)
    assert prompts_of("name", ["cat", "dog"]).texts == (("cat",), ("dog",))


def test_captions_of_scenes():
    colours = scene_prompts("colour", ["red", "orange"], ["apple", "hot dog"])
    assert colours.texts == (
        ("a red apple", "a red hot dog"),
        ("an orange apple", "an orange hot dog"),
    )
    assert scene_prompts("object", ["apple"], ["red"]).texts == (("a red apple",),)
    assert colours.templates is None
