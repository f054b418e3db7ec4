"""Composition of pictures that are known to be right, or of another prompt."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.small_scenes import small_scenes
from textdiff.data import open_data
from textdiff.evaluation.composition.asked import real_of
from textdiff.evaluation.pictures import PromptedPictures
from textdiff.evaluation.report.composition import composition
from textdiff.evaluation.report.document import Gallery, Missing, Numbers
from textdiff.evaluation.report.drawn import DrawnSplit


@pytest.fixture
def pictures(tmp_path) -> dict[str, DrawnSplit]:
    """Of four prompts of new scenes: real ones, the last two exchanged."""
    data = open_data(small_scenes(tmp_path), "train")
    prompts = list(dict.fromkeys(captions[0] for captions in data.captions))[:4]
    real = real_of(data, prompts)
    drawn = PromptedPictures(prompts, real.images[torch.tensor([0, 1, 3, 2])])
    return {"train": DrawnSplit(data, real, drawn, 1)}


def test_half_of_the_pictures_are_right(pictures):
    part = composition(pictures, examples=3)
    (table,) = (block for block in part.section.blocks if isinstance(block, Numbers))
    rows = {row.name: row for row in table.rows}
    assert rows["all"].estimate.value == 0.5
    assert rows["all"].ceiling == 1
    right, wrong = (block for block in part.section.blocks if isinstance(block, Gallery))
    assert right.title == "Trained: right, 2 of 4"
    assert wrong.title == "Trained: wrong, 2 of 4"
    exchanged = [picture.badge.removeprefix("read: ") for picture in wrong.pictures]
    assert [f"a {seen}" for seen in exchanged] == [each.caption for each in wrong.pictures[::-1]]
    (headline,) = part.headlines
    assert headline.estimate.value == 0.5
    assert part.numbers["composition"]["splits"]["train"]["pictures"] == 4


def test_data_without_facts(shapes):
    from textdiff.data import DataConfig

    data = open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "train")
    part = composition({"train": DrawnSplit(data, None, None, 1)}, examples=3)
    (missing,) = part.section.blocks
    assert isinstance(missing, Missing)
    assert "without facts" in missing.why
