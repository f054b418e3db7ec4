"""Rates of a judge that is known, and of the shapes against the metric by hand."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.protocols import CLIP, DATA, MODEL
from textdiff.clip import ClipModel
from textdiff.clip.features import image_features, text_features
from textdiff.data import DataConfig, open_data
from textdiff.evaluation.features.cached import clip_features
from textdiff.evaluation.pictures import PromptedPictures, real_pictures
from textdiff.evaluation.prompt_following.measure import (
    PromptFollowingProtocol,
    PromptFollowingResult,
    measure_prompt_following,
    print_rates,
)
from textdiff.evaluation.results import from_json, to_json
from textdiff.metrics.retrieval import prompt_following


@pytest.fixture(scope="module")
def judge(tiny_clip) -> ClipModel:
    return ClipModel.load(tiny_clip)


@pytest.fixture
def pictures(pipe, shapes) -> dict[str, PromptedPictures]:
    """Real ones, and the same with prompts that belong to others."""
    data = open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "train")
    real = real_pictures(data, 8, 2, pipe)
    return {"real": real, "wrong": PromptedPictures(real.prompts, real.images.roll(1, dims=0))}


@pytest.fixture
def result(judge, pictures) -> PromptFollowingResult:
    features = clip_features(judge)
    judged = {kind: features.of_prompted(each) for kind, each in pictures.items()}
    return measure_prompt_following(features, judged)


def test_rates_are_those_of_the_judge(judge, pictures, result):
    assert result.prompts == 8
    for kind, rates in result.rates.items():
        judged = pictures[kind]
        ranking = prompt_following(
            image_features(judge, judged.images),
            text_features(judge, judged.prompts),
            torch.arange(8),
        )
        assert rates.at_1.value == pytest.approx(ranking.recall(1))
        assert rates.at_5.value == pytest.approx(ranking.recall(5))


def test_kinds_of_pictures_have_rates_of_their_own(result):
    assert result.rates["real"] != result.rates["wrong"]


def test_keys_on_disk(result):
    content = to_json(result)
    assert content.keys() == {"prompts", "results", "per_item"}
    for rates in content["results"].values():
        assert rates.keys() == {"R@1", "R@5"}
        assert rates["R@1"].keys() == {"mean", "low", "high", "confidence", "resamples"}
    assert to_json(from_json(PromptFollowingResult, content)) == content


def test_estimates_name_the_pictures(result):
    estimates = dict(result.estimates())
    kinds = ("real pictures", "wrong pictures")
    assert list(estimates) == [f"{kind} R@{k}" for kind in kinds for k in (1, 5)]
    assert estimates["wrong pictures R@5"] == result.rates["wrong"].at_5


def test_table_shows_chance(result, capsys):
    print_rates(result, "shapes, split train")
    shown = capsys.readouterr().out
    assert "Prompt following among 8 prompts of shapes, split train" in shown
    (row,) = (line for line in shown.splitlines() if "real pictures R@5" in line)
    assert f"{result.rates['real'].at_5.value:.1%}" in row
    assert "62.5%" in row  # 5 of 8


def test_keys_of_the_protocol_on_disk():
    protocol = PromptFollowingProtocol(
        prompt_seed=0, model=MODEL, judge=CLIP, data=DATA, sampling={"seed": 1}
    )
    keys = ["metric", "prompt_seed", "model", "judge", "data", "sampling"]
    assert list(to_json(protocol)) == keys
    assert from_json(PromptFollowingProtocol, to_json(protocol)) == protocol


def test_ranks_of_single_prompts_are_kept(result):
    for kind, rates in result.rates.items():
        ranks = result.per_item[kind].values["rank"]
        assert sum(rank <= 1 for rank in ranks) / len(ranks) == pytest.approx(rates.at_1.value)
        assert len(result.per_item[kind].items) == result.prompts
