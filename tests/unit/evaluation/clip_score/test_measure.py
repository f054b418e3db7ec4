"""CLIP scores of the shapes against the metric by hand."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.protocols import CLIP, DATA, MODEL
from textdiff.clip import ClipModel
from textdiff.clip.features import image_features, text_features
from textdiff.data import DataConfig, open_data
from textdiff.evaluation.clip_score.measure import (
    ClipScoreProtocol,
    ClipScoreResult,
    measure_clip_score,
    print_scores,
)
from textdiff.evaluation.features.cached import clip_features
from textdiff.evaluation.features.feature_set import FeatureSet
from textdiff.evaluation.pictures import PromptedPictures, captioned_pictures
from textdiff.evaluation.results import from_json, to_json
from textdiff.metrics.clip_score import clip_scores


@pytest.fixture(scope="module")
def pictures(shapes) -> dict[str, PromptedPictures]:
    """All shapes, and two of them with the first caption cut."""
    data = open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "all")
    real = captioned_pictures(data)
    return {"real": real, "few": PromptedPictures(["word " * 30, "red"], real.images[:2])}


@pytest.fixture(scope="module")
def clip(tiny_clip, pictures) -> ClipModel:
    """With text features that lie on the pictures' side: else every score would be 0."""
    clip = ClipModel.load(tiny_clip).freeze()
    real = pictures["real"]
    images, texts = image_features(clip, real.images), text_features(clip, real.prompts)
    if (images * texts).sum() < 0:
        with torch.no_grad():
            clip.model.text_projection.neg_()
    return clip


@pytest.fixture(scope="module")
def judged(clip, pictures) -> dict[str, FeatureSet]:
    return {kind: clip_features(clip).of_prompted(each) for kind, each in pictures.items()}


@pytest.fixture
def result(clip, judged) -> ClipScoreResult:
    return measure_clip_score(clip_features(clip), judged)


def test_scores_are_those_of_the_clip(clip, pictures, result):
    for kind, each in result.scores.items():
        judged = pictures[kind]
        expected = clip_scores(
            image_features(clip, judged.images), text_features(clip, judged.prompts)
        )
        assert each.score.value == pytest.approx(expected.mean().item())
        assert each.pictures == len(judged)
    assert result.scores["real"].score.value > 0
    assert (result.weight, result.captions_cut) == (100.0, 1)


def test_weight_scales_the_score(clip, judged):
    paper, torchmetrics = (
        measure_clip_score(clip_features(clip), judged, weight).scores["real"].score
        for weight in (2.5, 100.0)
    )
    assert torchmetrics.value == pytest.approx(40 * paper.value)
    assert torchmetrics.low == pytest.approx(40 * paper.low)


@pytest.mark.parametrize("weight", [2.5, 100.0])
def test_clip_s_is_the_papers_whatever_the_weight(clip, judged, weight):
    real = measure_clip_score(clip_features(clip), judged, weight).scores["real"]
    for name in ("value", "low", "high"):
        expected = 2.5 / weight * getattr(real.score, name)
        assert getattr(real.clip_s, name) == pytest.approx(expected)


def test_a_clip_with_a_part_is_told(clip, judged, capsys):
    involved = {clip.weights_hash(): "the CLIP that guides, g"}
    result = measure_clip_score(clip_features(clip), judged, involved=involved)
    print_scores(result, "emoji")
    assert result.warnings and f"note: {result.warnings[0]}" in capsys.readouterr().err
    assert "is the CLIP that guides, g, which flatters its pictures" in result.warnings[0]


def test_keys_on_disk(result):
    content = to_json(result)
    assert content.keys() == {"weight", "captions_cut", "results", "per_item", "warnings"}
    interval = {"mean", "low", "high", "confidence", "resamples"}
    assert content["results"]["few"].keys() == interval | {"pictures", "CLIP-S"}
    assert content["results"]["few"]["CLIP-S"].keys() == interval
    assert to_json(from_json(ClipScoreResult, content)) == content


def test_table_and_estimates(result, capsys):
    print_scores(result, "emoji")
    shown = capsys.readouterr().out
    for kind, each in result.scores.items():
        for name, estimate, digits in (
            (f"CLIP score, {kind} pictures", each.score, ".2f"),
            (f"CLIP-S, {kind} pictures", each.clip_s, ".3f"),
        ):
            (row,) = (line for line in shown.splitlines() if name in line)
            assert f"{estimate.value:{digits}}" in row
            assert dict(result.estimates())[name] == estimate


def test_keys_of_the_protocol_on_disk():
    protocol = ClipScoreProtocol(model=MODEL, clip=CLIP, data=DATA, prompt_seed=0, sampling={})
    keys = ["metric", "model", "clip", "data", "prompt_seed", "sampling"]
    assert list(to_json(protocol)) == keys
    assert from_json(ClipScoreProtocol, to_json(protocol)) == protocol


def test_scores_of_single_pictures_are_kept(result, pictures):
    for kind, each in result.scores.items():
        kept = result.per_item[kind]
        assert kept.owners == pictures[kind].prompts
        assert sum(kept.values["score"]) / each.pictures == pytest.approx(each.score.value)
