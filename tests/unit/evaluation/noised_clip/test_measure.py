"""Rates of a clean and a noised CLIP, against the metrics computed by hand."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.noised import noised_clip
from tests.helpers.protocols import CLIP, DATA
from textdiff.clip import ClipModel
from textdiff.clip.features import text_features
from textdiff.data import CaptionedImages, DataConfig, open_data
from textdiff.diffusion import NoiseSchedule
from textdiff.errors import CheckpointError, UsageError
from textdiff.evaluation.noised_clip.measure import (
    METRICS,
    choose_timesteps,
    compare,
    measure_noised_clip,
)
from textdiff.evaluation.noised_clip.result import (
    NoisedClipProtocol,
    NoisedClipResult,
    NoiseProtocol,
)
from textdiff.evaluation.results import from_json, to_json
from textdiff.metrics.noised import fixed_noise, noised_features
from textdiff.metrics.retrieval import image_text_retrieval
from textdiff.metrics.zero_shot import class_weights, zero_shot_logits, zero_shot_ranks

INTERVAL = {"mean", "low", "high", "confidence", "resamples"}


@pytest.fixture(scope="module")
def data(shapes) -> CaptionedImages:
    return open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "all")


@pytest.fixture
def clean(tiny_clip) -> ClipModel:
    return ClipModel.load(tiny_clip).freeze()


@pytest.fixture(scope="module")
def result(data, tiny_clip) -> NoisedClipResult:
    noised, clean = noised_clip(tiny_clip), ClipModel.load(tiny_clip).freeze()
    return measure_noised_clip(noised, clean, data, timesteps=[0, 50, 99], draws=2)


def test_what_was_searched(result):
    assert (result.searched, result.captions, result.classes) == (16, 16, 16)
    assert result.timesteps == [0, 50, 99]
    assert result.alphas_cumprod == NoiseSchedule.cosine(100).alphas_cumprod[[0, 50, 99]].tolist()


def test_images_can_be_fewer(noised, clean, data):
    result = measure_noised_clip(noised, clean, data, timesteps=[0], limit=5)
    assert result.searched == 5
    assert result.chance["zero-shot"] == pytest.approx(1 / 5)


def test_chance(result):
    assert list(result.chance) == list(result.comparisons) == list(METRICS)
    assert list(result.chance.values()) == pytest.approx([1 / 16] * 3 + [5 / 16] * 2)


@pytest.mark.parametrize("reader", ["clean", "noised"])
def test_rates_are_those_of_the_same_noise(noised, clean, data, reader):
    result = measure_noised_clip(
        noised, clean, data, timesteps=[30], draws=2, seed=4, template="a {}"
    )
    encode = noised.encode_image if reader == "noised" else lambda x, _t: clean.encode_image(x)
    clip = noised if reader == "noised" else clean
    names = [row[0] for row in data.captions]
    texts, image = text_features(clip, names), data.images(range(16))
    weights = class_weights(text_features(clip, [f"a {name}" for name in names])[:, None])
    rates: dict[str, list[float]] = {metric: [] for metric in METRICS}
    for draw in range(2):
        eps = fixed_noise(range(16), (3, 16, 16), seed=4, draw=draw)
        features = noised_features(encode, image, eps, 30, NoiseSchedule.cosine(100))
        retrieval = image_text_retrieval(features, texts, torch.arange(16))
        for k in (1, 5):
            rates[f"image to text R@{k}"].append(retrieval.image_to_text.recall(k))
            rates[f"text to image R@{k}"].append(retrieval.text_to_image.recall(k))
        ranks = zero_shot_ranks(zero_shot_logits(features, weights), torch.arange(16))
        rates["zero-shot"].append((ranks == 1).double().mean().item())
    for metric, comparison in result.comparisons.items():
        assert getattr(comparison, reader)[0].value == pytest.approx(sum(rates[metric]) / 2)


def test_the_two_clips_differ(result):
    """Else the tests of differences would say little."""
    assert any(level.value for level in result.comparisons["image to text R@5"].difference)


def test_difference_is_paired(result):
    comparison = result.comparisons["image to text R@5"]
    for clean, noised, difference in zip(
        comparison.clean, comparison.noised, comparison.difference, strict=True
    ):
        assert difference.value == pytest.approx(noised.value - clean.value)
    means = [level.value for level in comparison.noised]
    assert comparison.means.noised.value == pytest.approx(sum(means) / 3)


def test_a_clip_that_is_no_better_is_ahead_nowhere(noised, data):
    """Against its own clean form at t = 0, where both say the same."""
    result = measure_noised_clip(noised, noised.clean().freeze(), data, timesteps=[0])
    for comparison in result.comparisons.values():
        assert comparison.difference[0].value == 0
        assert comparison.ahead_at == comparison.behind_at == []


def test_ahead_and_behind_are_where_the_interval_leaves_0():
    all_right, all_wrong = torch.ones(2, 8), torch.zeros(2, 8)
    mixed = torch.stack([all_right[0], all_wrong[0]])
    comparison = compare(clean=mixed.flip(0), noised=mixed, timesteps=[7, 9], owners=None)
    assert (comparison.ahead_at, comparison.behind_at) == ([7], [9])
    assert comparison.means.difference.value == 0


def test_keys_on_disk(result):
    content = to_json(result)
    assert content.keys() == {
        *("searched", "captions", "classes", "timesteps", "alphas_cumprod", "chance", "results"),
        "per_item",
    }
    for curves in content["results"].values():
        for reader in ("clean", "noised", "difference"):
            assert [set(level) for level in curves[reader]] == [INTERVAL] * 3
        assert curves["mean_over_timesteps"].keys() == {"clean", "noised", "difference"}
        assert curves.keys() >= {"ahead_at", "behind_at"}
    assert to_json(from_json(NoisedClipResult, content)) == content


def test_estimates_are_means_over_the_timesteps(result):
    estimates = dict(result.estimates())
    difference = result.comparisons["zero-shot"].means.difference
    assert estimates["zero-shot, noised - clean"] == difference


# Timesteps


def test_timesteps_are_even_or_as_asked():
    assert choose_timesteps(None, 3, 100, "runs/noised") == [0, 50, 99]
    assert choose_timesteps((30, 2, 30), 3, 100, "runs/noised") == [2, 30]


@pytest.mark.parametrize("timestep", [-1, 100])
def test_timesteps_outside(timestep):
    with pytest.raises(UsageError, match=rf"--timesteps {timestep}: runs/noised knows 0\.\.99"):
        choose_timesteps((3, timestep), 3, 100, "runs/noised")


# Protocol


def test_keys_of_the_protocol_on_disk():
    noise = NoiseProtocol({"name": "cosine"}, draws_per_image=4, seed=0)
    protocol = NoisedClipProtocol(noise=noise, template="{}", data=DATA, noised=CLIP, clean=CLIP)
    content = to_json(protocol)
    assert list(content) == ["metric", "noise", "template", "data", "noised", "clean"]
    assert list(content["noise"]) == ["schedule", "draws_per_image", "seed"]
    assert from_json(NoisedClipProtocol, content) == protocol


def test_hits_of_single_images_are_kept(result):
    for metric, comparison in result.comparisons.items():
        kind = "captions" if metric.startswith("text to image") else "images"
        for clip in ("clean", "noised"):
            hits = result.per_item[kind].values[f"{metric}, {clip}"]
            mean = getattr(comparison.means, clip).value
            assert sum(hits) / len(hits) == pytest.approx(mean)


@pytest.mark.parametrize("spoilt", ["clean", "noised"])
def test_a_clip_that_gives_no_numbers(clean, noised, data, spoilt):
    clip = {"clean": clean, "noised": noised.clip}[spoilt]
    clip.model.visual.proj.data.fill_(torch.nan)
    with pytest.raises(CheckpointError, match=f"features by the {spoilt} CLIP are NaN"):
        measure_noised_clip(noised, clean, data, timesteps=[30])
