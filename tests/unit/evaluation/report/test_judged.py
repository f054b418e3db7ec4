"""CLIP score and ranks by an extractor whose features are known."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from tests.helpers.extractors import NamedColours
from textdiff.evaluation.features.cached import CachedFeatures
from textdiff.evaluation.pictures import PromptedPictures
from textdiff.evaluation.report.drawn import DrawnSplit
from textdiff.evaluation.report.judged import judge_split
from textdiff.evaluation.results import to_json

PROMPTS = ["red", "green", "blue"]


def coloured(names: list[str]) -> PromptedPictures:
    colours = torch.stack([NamedColours().colour(name) for name in names])
    return PromptedPictures(list(names), colours[:, :, None, None].expand(-1, -1, 4, 4).byte())


def drawn_as(names: list[str]) -> DrawnSplit:
    """Two pictures of each of three prompts, of these colours."""
    prompts = [prompt for prompt in PROMPTS for _ in range(2)]
    drawn = PromptedPictures(prompts, coloured(names).images)
    return DrawnSplit(SimpleNamespace(), coloured(PROMPTS), drawn, 2)


def test_right_and_wrong_pictures():
    judged = judge_split(
        CachedFeatures(NamedColours()),
        drawn_as(["red", "red", "green", "blue", "blue", "blue"]),
        took_part=False,
    )
    assert judged.scores.tolist() == pytest.approx([100, 100, 100, 0, 100, 100])
    assert judged.ranks[[0, 1, 2, 4, 5]].tolist() == [1] * 5
    assert judged.ranks[3] > 1
    result = judged.result
    assert (result.prompts, result.pictures, result.captions_cut) == (3, 6, 0)
    assert result.clip_score.drawn.value == pytest.approx(500 / 6)
    assert result.clip_score.real.value == pytest.approx(100)
    assert result.clip_score.chance == pytest.approx(100 / 6)  # the fourth, of green, is blue
    assert result.recall_at_1.drawn.value == pytest.approx(5 / 6)
    assert (result.recall_at_1.real.value, result.recall_at_1.chance) == (1, pytest.approx(1 / 3))


def test_pictures_of_a_prompt_are_resampled_together():
    """Of two prompts' pictures all are right, of one's none: a mean over three, not over six."""
    judged = judge_split(
        CachedFeatures(NamedColours()),
        drawn_as(["red", "red", "green", "green", "red", "red"]),
        took_part=False,
    )
    assert (judged.result.recall_at_1.drawn.low, judged.result.recall_at_1.drawn.high) == (0, 1)


def test_a_clip_that_took_part_says_nothing_of_recall():
    by = CachedFeatures(NamedColours())
    result = judge_split(by, drawn_as(["red"] * 6), took_part=True).result
    assert to_json(result).keys() == {"prompts", "pictures", "captions_cut", "clip_score"}
    assert [name for name, _ in result.estimates()] == ["CLIP score"]
