"""Evaluators: none may have had a part, none may be given twice."""

from __future__ import annotations

import pytest

from textdiff.clip import ClipModel
from textdiff.errors import UsageError
from textdiff.evaluation.evaluators import load_evaluator, load_evaluators


def test_an_evaluator_with_a_part(tiny_clip):
    involved = {ClipModel.load(tiny_clip).weights_hash(): "the CLIP of the model"}
    with pytest.raises(UsageError, match=r"--judge .* is the CLIP of the model; give one of "):
        load_evaluator("--judge", str(tiny_clip), "cpu", involved)


def test_evaluators_are_frozen_and_named(tiny_clip, other_clip):
    names = [str(other_clip), str(tiny_clip)]
    found = load_evaluators("--evaluators", names, "cpu", {})
    assert list(found) == names
    assert found[names[0]].weights_hash() == ClipModel.load(other_clip).weights_hash()
    assert not any(p.requires_grad for clip in found.values() for p in clip.parameters())


def test_an_evaluator_twice(other_clip):
    name = str(other_clip)
    with pytest.raises(UsageError, match=f"--evaluators {name} is the evaluator {name} again"):
        load_evaluators("--evaluators", [name, name], "cpu", {})
