"""YAML that asks for too much, or is none."""

from __future__ import annotations

import contextlib
import time
import tracemalloc

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from textdiff.plain_yaml import MOST_CHARACTERS, parse_yaml


@pytest.mark.parametrize(
    "text",
    ["", "a: 1", "- [1, 2.5, text, null, true]", "a: &x {b: 1}\nc: *x", "x: {<<: {a: 1}, b: 2}"],
)
def test_it_is_what_the_library_reads(text):
    assert parse_yaml(text) == yaml.safe_load(text)


def laughs(levels: int) -> str:
    """Ten aliases of the level below on each: 10 ** levels values."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    for level in range(1, levels):
        below = ", ".join([f"*a{level - 1}"] * 10)
        lines.append(f"a{level}: &a{level} [{below}]")
    return "\n".join(lines)


def test_a_billion_laughs_cost_nothing():
    tracemalloc.start()
    start = time.monotonic()
    with pytest.raises(ValueError, match="more than 100,000 values"):
        parse_yaml(laughs(9))
    assert time.monotonic() - start < 5
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_a_few_aliases_are_let_through():
    assert len(parse_yaml(laughs(3))["a2"]) == 10


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: &a [*a]", "an alias stands for what it is part of"),
        ("[" * 60 + "]" * 60, "nested more than 50 deep"),
        ("[" * 1000, "nested too deeply"),
        ("a: " + "1" * 5000, "a number of 5,000 characters"),
        ("a: " + ":".join("1" * 5000), "a number of 9,999 characters"),  # base 60: quadratic
        ("a: 0x" + "f" * 5000, "a number of 5,002 characters"),
        ("a: !!bool foo", "a tag .* stands before what is none"),
        ("a: !!int ''", "a tag .* stands before what is none"),
        ("a: !!timestamp foo", "a tag .* stands before what is none"),
        ("a: 2001-99-99", "month must be in"),
        ("a: [1", "expected ',' or ']'"),
        ("a: !!python/object/apply:os.system [echo]", "could not determine a constructor"),
        ("? [1]\n: 2", "unhashable key"),
        ("a: 1\n--- \nb: 2", "single document"),
        ("a: \x00", "special characters are not allowed"),
        ("a" * (MOST_CHARACTERS + 1), "4,000,000 at most"),
    ],
    ids=lambda text: text[:20],
)
def test_what_is_refused_is_said_in_one_line(text, why):
    with pytest.raises(ValueError, match=why) as error:
        parse_yaml(text)
    assert "\n" not in str(error.value)


@given(st.text(alphabet="abintool:-&*![]{}\"'|>?#, \n\t01.%@<=", max_size=60))
def test_whatever_stands_there_only_one_error_comes_out(text):
    with contextlib.suppress(ValueError):
        parse_yaml(text)
