"""Results to JSON and back: keys, what is left out, what stands among others, errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import pytest

from textdiff.evaluation.protocol import ClipProtocol, versions
from textdiff.evaluation.results import (
    INLINE,
    OMIT_NONE,
    Key,
    as_text,
    from_json,
    to_json,
    write_numbers,
    write_result,
)
from textdiff.metrics.bootstrap import Estimate

RATE = Estimate(0.5, 0.25, 1.0, 0.95, 1000)


@dataclass(frozen=True)
class Rate:
    rate: Annotated[Estimate, INLINE]
    chance: float


@dataclass(frozen=True)
class Rates:
    clip: ClipProtocol
    at_1: Annotated[Rate, Key("R@1")]
    by_name: dict[str, Estimate]
    steps: tuple[int, ...]
    share: float | None
    seconds: Annotated[float | None, OMIT_NONE] = None

    def estimates(self) -> Iterator[tuple[str, Estimate]]:
        yield "R@1", self.at_1.rate


@dataclass(frozen=True)
class SeedProtocol:
    seed: int


RATES = Rates(ClipProtocol("a", "abc", 32), Rate(RATE, 0.1), {"x": RATE}, (1, 2), None)


def test_keys_are_those_asked_for():
    assert to_json(RATES) == {
        "clip": {"name": "a", "weights": "abc", "image_size": 32},
        "R@1": {**RATE.as_json(), "chance": 0.1},
        "by_name": {"x": RATE.as_json()},
        "steps": [1, 2],
        "share": None,
    }
    with_seconds = Rates(RATES.clip, RATES.at_1, {}, (), 0.5, seconds=3.0)
    assert to_json(with_seconds)["seconds"] == 3.0


def test_what_was_written_comes_back():
    assert from_json(Rates, json.loads(as_text(to_json(RATES)))) == RATES


def test_keys_that_are_not_known_are_passed_over():
    assert from_json(Rates, {**to_json(RATES), "new": 1}) == RATES


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clip": {"name": "a", "weights": "b"}}, "result.clip lacks 'image_size'"),
        ({"clip": {"name": "a", "weights": 1, "image_size": 3}}, "result.clip.weights is of the"),
        ({"by_name": {"x": {"mean": 1}}}, "result.by_name.x is no Estimate: KeyError"),
        ({"steps": [1, "2"]}, r"result.steps\[1\] is of the wrong type: 2"),
        ({"share": "much"}, "result.share is of the wrong type: much"),
    ],
)
def test_what_is_wrong_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        from_json(Rates, {**to_json(RATES), **change})


def test_lists_take_a_line_each_in_the_file():
    document = {"a [b,  c]": [1.5, None, -2e-7], "d": [{"e": []}]}
    text = as_text(document)
    assert json.loads(text) == document
    assert "[ 1.5, null, -2e-07 ]" in text


def test_the_protocol_stands_before_the_numbers_and_versions_after(tmp_path, capsys):
    write_result(tmp_path / "new" / "rates.json", SeedProtocol(3), RATES)
    expected = {"seed": 3, **to_json(RATES), "versions": versions()}
    text = (tmp_path / "new" / "rates.json").read_text()
    assert text == as_text(expected)
    assert capsys.readouterr().out == f"numbers and protocol: {tmp_path / 'new' / 'rates.json'}\n"


def test_without_a_path_nothing_is_written_or_said(capsys):
    write_result(None, SeedProtocol(3), RATES)
    write_numbers(None, {"rate": RATE})
    assert capsys.readouterr().out == ""
