"""What the means are over, and what is kept of pictures without prompts."""

from __future__ import annotations

import pytest
import torch

from textdiff.evaluation.distribution.by_item import (
    DRAWN,
    PROMPTS,
    REAL,
    ItemNames,
    Nearness,
    item_names,
    items_of,
)
from textdiff.evaluation.distribution.measure import find_copies, measure_distribution
from textdiff.evaluation.features.feature_set import FeatureSet


def normals(count: int, seed: int) -> torch.Tensor:
    return torch.randn(count, 8, generator=torch.Generator().manual_seed(seed))


def features_of(captions: list[list[str]], positions: list[int]) -> FeatureSet:
    return FeatureSet(normals(len(captions), 0), positions, captions, None, {}, {})


def test_names_are_prompts_and_positions():
    drawn, real = features_of([["a"], ["b", "c"]], [0, 1]), features_of([[], []], [3, 5])
    assert item_names(drawn, real) == ItemNames(["a", "b"], ["3", "5"])
    assert item_names(real, real).prompts is None


def test_means_are_over_what_is_kept():
    training, drawn, real = normals(200, 1), normals(40, 2), normals(60, 3)
    drawn[:10] = training[:10]
    copies = find_copies(drawn, normals(150, 4), training)
    names = ItemNames([f"prompt {k // 2}" for k in range(40)], [str(k) for k in range(60)])
    result = measure_distribution(
        drawn, real, per_prompt=2, unit_length=True, copies=copies, names=names
    )
    numbers = dict(result.estimates())
    kinds = {"recall": REAL, "coverage": REAL, "diversity": PROMPTS}
    for name in ("precision", "density", "recall", "coverage", "diversity", "copied"):
        values = result.per_item[kinds.get(name, DRAWN)].values[name]
        assert sum(values) / len(values) == pytest.approx(numbers[name].value), name
    nearest = result.per_item[DRAWN].values["nearest"]
    assert nearest[:10] == pytest.approx([1.0] * 10)
    assert len(result.per_item[PROMPTS].items) == len(result.per_item[DRAWN].items) == 20


def test_pictures_without_prompts_have_no_names():
    nearness = Nearness(torch.ones(4), 0.5)
    assert items_of(ItemNames(None, []), around=None, nearness=nearness, diversities=None) == {}


def test_a_threshold_that_is_not_known():
    nearness = Nearness(torch.ones(2), None)
    found = items_of(ItemNames(["a", "b"], []), around=None, nearness=nearness, diversities=None)
    assert found[DRAWN].values == {"nearest": [1.0, 1.0]}
