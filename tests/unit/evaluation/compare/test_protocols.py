"""What must agree, what is compared, what does not count."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.helpers.numbers import clip_score_file, edited
from tests.helpers.protocols import CLIP, DATA
from textdiff.errors import UsageError
from textdiff.evaluation.compare.document import read_document
from textdiff.evaluation.compare.protocols import Differing, compare_protocols, leaves

SCORES = {"red apple": 25.0, "blue kite": 22.0}


@pytest.fixture
def a(tmp_path):
    return read_document(clip_score_file(tmp_path / "a.json", SCORES))


@pytest.fixture
def b(tmp_path):
    """Of the second file, with these changes."""

    def made(**changes):
        return read_document(clip_score_file(tmp_path / "b.json", SCORES, **changes))

    return made


def test_model_and_sampling_are_compared(a, b):
    found = compare_protocols(a, b(weights="999", sampling={"seed": 1, "num_steps": 10}))
    assert found == [Differing("model.weights", "123", "999"), Differing("sampling.seed", 0, 1)]


def test_nothing_differs(a, b):
    assert compare_protocols(a, b()) == []


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clip": replace(CLIP, weights="000")}, r"clip\.weights is \"789\" and \"000\""),
        ({"data": replace(DATA, split="test")}, r"data\.split is \"train\" and \"test\""),
        ({"data": replace(DATA, fingerprint="g")}, r"data\.fingerprint is \"f\" and \"g\""),
        ({"data": replace(DATA, resize="crop")}, r"data\.resize .* give both the same --data"),
        ({"prompt_seed": 4}, "prompt_seed is 0 and 4"),
        ({"weight": 2.5}, r"weight is 100\.0 and 2\.5"),
    ],
)
def test_another_protocol_is_refused(a, b, changes, message):
    with pytest.raises(UsageError, match=f"a.json and .*b.json are of different .*{message}"):
        compare_protocols(a, b(**changes))


def test_all_that_differs_is_named(a, b):
    other = b(clip=replace(CLIP, image_size=32), prompt_seed=4)
    with pytest.raises(UsageError, match=r"clip\.image_size is 16 and 32; prompt_seed is 0 and 4"):
        compare_protocols(a, other)


def test_what_a_judge_or_data_are_called_does_not_count(a, b):
    called = {"clip": replace(CLIP, name="../judge"), "data": replace(DATA, source="here/shapes")}
    assert compare_protocols(a, b(**called)) == []


def test_versions_are_no_part_of_it(a, b):
    assert compare_protocols(a, b(versions={"torch": "0"})) == []


def test_a_setting_that_one_file_lacks(a, b):
    other = b(data={"source": "pictures in memory"})
    with pytest.raises(UsageError, match=r"data\.split is \"train\" and not there"):
        compare_protocols(a, other)


def test_folders_are_compared_where_no_model_drew(tmp_path):
    files = {}
    for name in "ab":
        data = replace(DATA, source=name, fingerprint=name, images=len(name))
        path = clip_score_file(tmp_path / f"{name}.json", SCORES, model=None, data=data)
        files[name] = read_document(path)
    found = compare_protocols(files["a"], files["b"])
    assert [each.where for each in found] == ["data.source", "data.fingerprint"]
    smaller = edited(tmp_path / "b.json", data=replace(DATA, image_size=8))
    with pytest.raises(UsageError, match=r"data\.image_size is 16 and 8"):
        compare_protocols(files["a"], read_document(smaller))


def test_another_evaluation_is_refused(a, tmp_path):
    metric = "retrieval R@k, ties count against"
    other = edited(clip_score_file(tmp_path / "b.json", SCORES), metric=metric)
    with pytest.raises(UsageError, match=r"'textdiff clip-score', .* of 'textdiff retrieval'"):
        compare_protocols(a, read_document(other))


def test_leaves_have_dotted_keys():
    nested = {"a": {"b": 1, "c": {}}, "d": [1, 2], "e": [{"f": None}, {"f": 2}]}
    assert leaves(nested) == {"a.b": 1, "a.c": {}, "d": [1, 2], "e.0.f": None, "e.1.f": 2}


def test_long_values_are_cut():
    assert len(str(Differing("templates", ["a photo of a {}"] * 80, None))) < 120
