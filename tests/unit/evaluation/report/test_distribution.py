"""Drawn pictures that are the real ones: as near as can be, and copies."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.helpers.extractors import MeanColours
from tests.helpers.protocols import MODEL
from textdiff.data import DataConfig, open_data
from textdiff.evaluation.features.cached import CachedFeatures
from textdiff.evaluation.pictures import captioned_pictures
from textdiff.evaluation.report.distribution import Setting, distribution
from textdiff.evaluation.report.document import Missing, Numbers, Pairs
from textdiff.evaluation.report.drawn import DrawnSplit
from textdiff.pipeline.config import SamplingConfig

SETTING = Setting(
    model=MODEL,
    config=SamplingConfig(),
    prompt_seed=0,
    reference_split="train",
    limit=None,
    examples=3,
    involved={},
)


@pytest.fixture
def copies(shapes) -> DrawnSplit:
    """The training pictures themselves."""
    data = open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "train")
    real = captioned_pictures(data)
    return DrawnSplit(data, real, real, 1)


def test_copies_are_at_the_ceiling_far_from_noise(copies):
    part = distribution(CachedFeatures(MeanColours()), copies, SETTING)
    table, _, pairs = part.section.blocks
    assert isinstance(table, Numbers)
    rows = {row.name: row for row in table.rows}
    frechet = rows["Frechet distance"]
    assert frechet.estimate.value == pytest.approx(0, abs=1e-3)
    assert frechet.floor > 100  # of pixels from 0 to 255
    assert rows["precision"].estimate.value == 1
    assert isinstance(pairs, Pairs)
    assert len(pairs.pairs) == 3
    for drawn, training in pairs.pairs:
        assert drawn.badge == "cosine 1.000"
        assert drawn.source == training.source
    assert part.numbers["distribution"]["noise"]["pictures"] == len(copies.drawn)


def test_the_same_noise_every_time(copies):
    by = CachedFeatures(MeanColours())
    first, second = (distribution(by, copies, SETTING).numbers for _ in range(2))
    assert first == second


def test_one_prompt_is_no_distribution(copies):
    one = replace(copies, real=captioned_pictures(copies.data).__class__(["a"], copies.real.images))
    (missing,) = distribution(CachedFeatures(MeanColours()), one, SETTING).section.blocks
    assert isinstance(missing, Missing)
    assert "one caption" in missing.why
