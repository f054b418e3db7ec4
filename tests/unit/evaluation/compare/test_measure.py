"""Rows, verdicts and notes of two files of CLIP scores."""

from __future__ import annotations

import json

import pytest
import torch

from tests.helpers.numbers import clip_score_file, edited
from textdiff.errors import UsageError
from textdiff.evaluation.compare.document import read_document
from textdiff.evaluation.compare.measure import compare, compare_protocol
from textdiff.evaluation.compare.protocols import compare_protocols
from textdiff.evaluation.compare.result import CompareProtocol, CompareResult, verdict
from textdiff.evaluation.compare.table import print_comparison
from textdiff.evaluation.results import from_json, to_json
from textdiff.metrics.bootstrap import Estimate


def scores(count: int = 40, gain: float = 0.0, noise: float = 0.0, seed: int = 0):
    """By prompt: some hard, some easy, the same ones each time."""
    rng = torch.Generator().manual_seed(seed)
    base = 20 + 5 * torch.randn(count, generator=torch.Generator().manual_seed(99))
    values = base + gain + noise * torch.randn(count, generator=rng)
    return {f"prompt {k}": value for k, value in enumerate(values.tolist())}


@pytest.fixture
def compared(tmp_path):
    """Two files of these scores, read and compared."""

    def of(one, other, *, sides=({}, {})) -> CompareResult:
        paths = [
            clip_score_file(tmp_path / f"{name}.json", values, **changes)
            for name, values, changes in zip("ab", (one, other), sides, strict=True)
        ]
        a, b = map(read_document, paths)
        return compare(a, b, compare_protocols(a, b))

    return of


def test_a_gain_that_the_two_intervals_hide(compared):
    (row,) = compared(scores(), scores(gain=0.5, noise=0.2, seed=1)).rows
    assert (row.name, row.verdict, row.items) == ("drawn pictures", "B higher", 40)
    assert row.difference.value == pytest.approx(0.5, abs=0.2)
    assert row.b.low < row.a.high  # side by side nothing would be seen


def test_the_other_way_round(compared):
    (row,) = compared(scores(gain=0.5), scores(noise=0.2)).rows
    assert (row.verdict, row.difference.high < 0) == ("B lower", True)


def test_noise_is_no_difference(compared):
    (row,) = compared(scores(noise=3, seed=1), scores(noise=3, seed=2)).rows
    assert row.verdict == "no difference seen"
    assert row.difference.low < 0 < row.difference.high


def test_the_same_file_twice(tmp_path):
    document = read_document(clip_score_file(tmp_path / "a.json", scores()))
    result = compare(document, document, [])
    (row,) = result.rows
    assert (row.difference.value, row.difference.low, row.difference.high) == (0, 0, 0)
    assert row.verdict == "the same"
    assert "Both files are the same, to the byte." in result.notes


def test_equal_numbers_of_two_models(compared):
    result = compared(scores(), scores(), sides=({}, {"weights": "999"}))
    assert result.rows[0].verdict == "the same"
    assert not [note for note in result.notes if "same" in note]


def test_what_is_in_one_file_alone_is_left_out(compared):
    other = scores(50)
    one = {name: each - 1 for name, each in list(other.items())[:40]}
    del other["prompt 3"]
    result = compared(one, other)
    assert result.rows[0].items == 39
    assert result.rows[0].difference.value == pytest.approx(1, abs=1e-5)
    assert "Items of one file alone, left out: 11." in result.notes


@pytest.mark.parametrize(
    ("count", "note"), [(29, "Intervals over 29 pairs are too narrow; 30 are enough."), (30, None)]
)
def test_few_pairs(compared, count, note):
    notes = compared(scores(count), scores(count, noise=1)).notes
    assert [each for each in notes if "too narrow" in each] == ([note] if note else [])


def test_one_pair_tells_nothing(compared):
    (row,) = compared({"a": 1.0}, {"a": 2.0}).rows
    assert row.verdict == "too few to tell"


def test_several_pictures_of_a_prompt(compared):
    one = [("a", 1.0), ("a", 2.0), ("b", 3.0), ("b", 4.0)]
    (row,) = compared(one, [("b", 8.0), ("a", 5.0)]).rows
    assert (row.items, row.difference.value) == (2, 4.0)


def test_versions(compared):
    result = compared(scores(), scores(), sides=({"versions": {"torch": "1"}}, {"versions": {}}))
    assert "Versions differ: torch 1 and none." in result.notes
    assert "Model and settings are the same in both files." in result.notes


def test_no_prompt_in_common(compared):
    with pytest.raises(UsageError, match="no item in common: one has 'drawn: a', the other 'drawn"):
        compared({"a": 1.0}, {"b": 2.0})


@pytest.mark.parametrize("old", ["a", "b"])
def test_a_file_of_an_older_version(tmp_path, old):
    paths = {name: clip_score_file(tmp_path / f"{name}.json", scores()) for name in "ab"}
    edited(paths[old], per_item=None)
    a, b = (read_document(path) for path in paths.values())
    message = rf"{old}\.json has no values per item: .* again with 'textdiff clip-score --json'"
    with pytest.raises(UsageError, match=message):
        compare(a, b, [])


@pytest.mark.parametrize(
    ("low", "high", "items", "expected"),
    [
        (0.1, 0.2, 9, "B higher"),
        (-0.2, -0.1, 9, "B lower"),
        (0.0, 0.2, 9, "no difference seen"),
        (-0.2, 0.0, 9, "no difference seen"),
        (0.0, 0.0, 1, "the same"),
        (0.1, 0.1, 1, "too few to tell"),
    ],
)
def test_verdicts(low, high, items, expected):
    difference = Estimate((low + high) / 2, low, high, 0.95, 1000)
    assert verdict(difference, items) == expected


@pytest.fixture
def pair_of_files(tmp_path):
    paths = [
        clip_score_file(tmp_path / "a.json", scores(12)),
        clip_score_file(tmp_path / "b.json", scores(12, gain=1), weights="999"),
    ]
    a, b = map(read_document, paths)
    return a, b, compare_protocols(a, b)


def test_to_json_and_back(pair_of_files):
    result, protocol = compare(*pair_of_files), compare_protocol(*pair_of_files)
    content = json.loads(json.dumps(to_json(protocol) | to_json(result)))
    assert content["compared"] == [{"where": "model.weights", "a": "123", "b": "999"}]
    assert content["common"]["clip.weights"] == "789"
    assert "model.weights" not in content["common"]
    assert from_json(CompareProtocol, content) == protocol
    assert to_json(from_json(CompareResult, content)) == to_json(result)
    assert dict(result.estimates()) == {"drawn pictures": result.rows[0].difference}


def test_table(pair_of_files, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    a, b, compared = pair_of_files
    print_comparison(compare(a, b, compared), compared, a, b)
    shown = capsys.readouterr()
    (row,) = (line for line in shown.out.splitlines() if "drawn pictures" in line)
    for cell in ("+1.00", "+1.00 to +1.00", "12", "B higher"):
        assert cell in row
    assert any("model.weights" in line and '"999"' in line for line in shown.out.splitlines())
    assert shown.err == "note: Intervals over 12 pairs are too narrow; 30 are enough.\n"
