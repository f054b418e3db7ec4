"""Equal weights in another architecture are another CLIP."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path

import open_clip
import pytest

from tests.helpers.damage import forget
from tests.helpers.tokenizers import word_tokenizer
from textdiff.clip import ClipModel
from textdiff.clip.architecture import architecture_hash


@pytest.fixture(scope="module")
def config(tiny_clip) -> dict:
    return json.loads((tiny_clip / "open_clip_config.json").read_text())["model_cfg"]


@pytest.fixture(scope="module")
def tokenizer():
    return open_clip.SimpleTokenizer()


@pytest.mark.parametrize(
    ("tower", "key", "value"),
    [
        (None, "quick_gelu", True),
        ("vision_cfg", "head_width", 8),
        ("text_cfg", "heads", 1),
        ("text_cfg", "act_kwargs", {"approximate": "tanh"}),
        ("vision_cfg", "norm_kwargs", {"eps": 1e-6}),
    ],
)
def test_what_weights_do_not_show(config, tokenizer, tower, key, value):
    other = copy.deepcopy(config)
    (other[tower] if tower else other)[key] = value
    assert architecture_hash(other, tokenizer) != architecture_hash(config, tokenizer)


def test_defaults_and_what_is_of_training_make_no_difference(config, tokenizer):
    other = copy.deepcopy(config)
    other["quick_gelu"] = False
    other["vision_cfg"] |= {"patch_dropout": 0.5, "norm_kwargs": None}
    other = dict(reversed(other.items()))
    assert architecture_hash(other, tokenizer) == architecture_hash(config, tokenizer)


def test_another_tokenizer_of_either_kind(config, tokenizer, tmp_path):
    plain = open_clip.SimpleTokenizer(clean="whitespace")
    words = word_tokenizer(tmp_path)
    before = architecture_hash(config, words)
    words(["red apple"], context_length=3)  # which leaves its lengths in the tokenizer
    assert architecture_hash(config, words) == before
    words.tokenizer.add_tokens(["pear"])
    found = [architecture_hash(config, each) for each in (tokenizer, plain, words)]
    assert len({before, *found}) == 4


def test_a_saved_clip_is_the_same_and_an_edited_one_is_not(tiny_clip, tmp_path):
    clip = ClipModel.load(tiny_clip)
    clip.save(tmp_path / "saved")
    assert ClipModel.load(tmp_path / "saved").architecture_hash() == clip.architecture_hash()
    folder = forget(Path(shutil.copytree(tiny_clip, tmp_path / "edited")))
    content = json.loads((folder / "open_clip_config.json").read_text())
    content["model_cfg"]["quick_gelu"] = True
    (folder / "open_clip_config.json").write_text(json.dumps(content))
    edited = ClipModel.load(folder)
    assert edited.weights_hash() == clip.weights_hash()
    assert edited.architecture_hash() != clip.architecture_hash()
