"""Files that are read, and those that are no numbers."""

from __future__ import annotations

import hashlib
import json

import pytest

from tests.helpers.numbers import clip_score_file, edited
from textdiff.errors import UsageError
from textdiff.evaluation.compare.document import read_document, value_at


@pytest.fixture
def path(tmp_path):
    return clip_score_file(tmp_path / "a.json", {"red apple": 25.0})


def test_what_a_file_holds(path, tmp_path):
    found = read_document(path)
    assert found.kind.command == "clip-score"
    assert found.items["drawn"].items == ["red apple"]
    assert found.sha256 == hashlib.sha256((tmp_path / "a.json").read_bytes()).hexdigest()
    assert "torch" in found.versions


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as JSON"),
        ("no JSON", "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
        ("\udcff", "cannot be read as JSON"),
        ("[]", "holds no numbers of an evaluation"),
        ('{"loss": 1}', "holds no numbers of an evaluation; .*clip-score, prompt-following"),
        ('{"metric": "BLEU"}', "of the metric 'BLEU', which this version does not know"),
        ('{"metric": {"R@k": "share"}}', "which this version does not know"),
        ('{"metric": null}', "which this version does not know"),
    ],
)
def test_other_files_are_refused(tmp_path, text, message):
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match=message) as refused:
        read_document(str(path))
    assert str(path) in str(refused.value)


def test_no_file(tmp_path):
    with pytest.raises(UsageError, match=r"nothing\.json cannot be read as JSON.*No such file"):
        read_document(str(tmp_path / "nothing.json"))


@pytest.mark.parametrize(
    "damaged",
    [
        [],
        {"drawn": {"items": ["a"]}},
        {"drawn": {"items": ["a"], "values": {"score": [1, 2]}}},
        {"drawn": {"items": ["a"], "values": {"score": "x"}}},
    ],
)
def test_damage_is_said(path, damaged):
    edited(path, per_item=damaged)
    with pytest.raises(UsageError, match=r"is damaged: .* again with 'textdiff clip-score --json'"):
        read_document(path)


def test_values_by_dotted_key(path, tmp_path):
    content = json.loads((tmp_path / "a.json").read_text())
    assert value_at(content, "results.drawn.pictures") == 1
    assert value_at(content, "results.drawn.nothing.here") is None
