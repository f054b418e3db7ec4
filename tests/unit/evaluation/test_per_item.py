"""Values per item: to JSON and back, numbers, owners."""

from __future__ import annotations

import json
import math

import pytest
import torch

from textdiff.evaluation.per_item import PerItem, values_by_item
from textdiff.evaluation.results import as_text, from_json, to_json


def test_a_value_for_each_item():
    found = values_by_item(["a", "b"], {"score": torch.tensor([1.5, math.nan])})
    assert found == PerItem(["a", "b"], {"score": [1.5, None]})
    assert found.owners == ["a", "b"]


def test_items_with_several_values():
    values = {"rank": torch.tensor([1, 2, 3]), "hit": torch.tensor([True, False, True])}
    found = values_by_item(["a", "b", "a"], values)
    assert found == PerItem(["a", "b"], {"rank": [1, 2, 3], "hit": [1, 0, 1]}, [0, 1, 0])
    assert found.owners == ["a", "b", "a"]


@pytest.mark.parametrize("owners", [["a", "b", "a"], ["x", "y", "z"]])
def test_what_was_written_comes_back(owners):
    found = values_by_item(owners, {"score": torch.tensor([0.1, 1 / 3, math.inf])})
    assert from_json(PerItem, json.loads(as_text(to_json(found)))) == found


def test_float32_survives_its_digits():
    values = torch.rand(200, generator=torch.Generator().manual_seed(0)) * 100
    back = values_by_item([str(k) for k in range(200)], {"x": values}).values["x"]
    assert torch.equal(torch.tensor(back, dtype=torch.float32), values)


@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        ({"items": ["a"], "values": {"x": [1, 2]}}, "not as many values"),
        ({"items": ["a", "a"], "values": {"x": [1, 2]}}, "there twice"),
        ({"items": ["a"], "values": {"x": [1]}, "item": [1]}, "not there"),
        ({"items": ["a"]}, "lacks 'values'"),
        ({"items": ["a"], "values": {"x": ["1"]}}, "wrong type"),
    ],
)
def test_damage_is_named(damaged, message):
    with pytest.raises(ValueError, match=message):
        from_json(PerItem, damaged)
