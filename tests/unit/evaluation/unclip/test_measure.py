"""Numbers of made-up pictures against brute force; differences, and which route is best."""

from __future__ import annotations

import itertools

import pytest
import torch
import torch.nn.functional as F

from tests.helpers.small_scenes import small_scenes
from textdiff.clip import ClipModel
from textdiff.clip.features import image_features, text_features
from textdiff.data import open_data
from textdiff.evaluation.held_out import measure as held_out
from textdiff.evaluation.held_out.measure import Evaluator, prepare_evaluators
from textdiff.evaluation.pictures import captioned_pictures
from textdiff.evaluation.results import from_json, to_json
from textdiff.evaluation.unclip.measure import (
    Facts,
    Measured,
    best_routes,
    difference_of,
    measure_pictures,
)
from textdiff.evaluation.unclip.result import PicturesResult
from textdiff.evaluation.unclip.run import facts_of
from textdiff.metrics.kernel_distance import kid

PER_PROMPT = 2


@pytest.fixture(scope="module", autouse=True)
def _few_resamples():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(held_out, "FRECHET_RESAMPLES", 5)
        patch.setattr(held_out, "RESAMPLES", 50)
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return open_data(small_scenes(tmp_path_factory.mktemp("cache")), "train")


@pytest.fixture(scope="module")
def prompted(data):
    """A picture of each of four prompts."""
    pictures = captioned_pictures(data)
    first = {prompt: k for k, prompt in reversed(list(enumerate(pictures.prompts)))}
    prompts = list(first)[:4]
    return prompts, pictures.images[[first[prompt] for prompt in prompts]]


@pytest.fixture(scope="module")
def clips(tiny_clip) -> dict[str, ClipModel]:
    other = ClipModel.load(tiny_clip)
    torch.manual_seed(3)
    torch.nn.init.normal_(other.model.visual.proj)
    return {"one": ClipModel.load(tiny_clip).freeze(), "other": other.freeze()}


@pytest.fixture(scope="module")
def evaluators(clips, prompted, data) -> dict[str, Evaluator]:
    return prepare_evaluators(clips, prompted[0], data.images(range(10, 20)))


@pytest.fixture(scope="module")
def facts(data, prompted) -> Facts:
    found = facts_of(data, prompted[0])
    assert found is not None
    return found


@pytest.fixture(scope="module")
def right(evaluators, facts, prompted) -> Measured:
    """Each prompt's real picture, twice."""
    prompts, images = prompted
    return measure_pictures(evaluators, facts, prompts, images.repeat_interleave(2, dim=0))


@pytest.fixture(scope="module")
def shuffled(prompted):
    """The first two prompts have each other's pictures, and a blank one; the others their own."""
    _, images = prompted
    blank = torch.full_like(images[0], 255)
    pairs = [(images[1], blank), (images[0], blank), (images[2], images[2]), (images[3], images[3])]
    return torch.stack(list(itertools.chain(*pairs)))


@pytest.fixture(scope="module")
def wrong(evaluators, facts, prompted, shuffled) -> Measured:
    return measure_pictures(evaluators, facts, prompted[0], shuffled)


def test_composition_is_read_where_there_are_facts(right, wrong, evaluators, prompted):
    assert right.result().aspects["both"].rate.value == 1
    both = wrong.result().aspects["both"]
    assert (both.rate.value, both.pictures) == (0.5, 8)
    without = measure_pictures(evaluators, None, *prompted)
    assert without.result().aspects == {}
    assert without.per_item().values.keys() == {"R@1", "R@1 one", "R@1 other"}


def test_prompts_are_found_by_each_judge(wrong, clips, prompted, shuffled):
    rates = []
    for name, clip in clips.items():
        images = F.normalize(image_features(clip, shuffled), dim=1)
        texts = F.normalize(text_features(clip, prompted[0]), dim=1)
        scores = images @ texts.T
        own = scores[torch.arange(8), torch.arange(8) // 2]
        first = [
            all(own[i] > scores[i, j] for j in range(4) if j != i // PER_PROMPT) for i in range(8)
        ]
        rates.append(sum(first) / 8)
        found = wrong.scores.evaluators[name].following.at_1.value
        assert found == pytest.approx(rates[-1])
    assert wrong.scores.held_out.following.at_1.value == pytest.approx(sum(rates) / 2)
    found = wrong.per_item()
    assert found.values["R@1"] == pytest.approx(wrong.judged.mean.at_1.tolist())
    assert found.values["both"] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert {"R@1 one", "R@1 other", "object", "colour"} < found.values.keys()
    assert found.owners == [p for p in prompted[0] for _ in range(PER_PROMPT)]


def test_kid_and_diversity_are_means_over_judges(wrong, clips, evaluators, shuffled):
    distances, diversities = [], []
    for name, clip in clips.items():
        x = F.normalize(image_features(clip, shuffled), dim=1)
        scale = x.shape[1] ** 0.5
        distances.append(kid(scale * x, scale * evaluators[name].reference, PER_PROMPT))
        pairs = [1 - (x[2 * k] @ x[2 * k + 1]).item() for k in range(4)]
        diversities.append(sum(pairs) / 4)
    assert wrong.scores.held_out.kid.value == pytest.approx(sum(distances) / 2)
    found = wrong.result().diversity
    assert found.value == pytest.approx(sum(diversities) / 2, abs=1e-6)


def test_one_picture_of_each_has_no_diversity(evaluators, prompted):
    assert measure_pictures(evaluators, None, *prompted).result().diversity is None


def test_differences_are_in_pairs(right, wrong):
    found = difference_of(wrong, right)
    assert found.both.value == -0.5
    assert found.both.low < -0.5 < found.both.high <= 0
    rates = [each.scores.held_out.following.at_1.value for each in (wrong, right)]
    assert found.judged.at_1.value == pytest.approx(rates[0] - rates[1])
    kids = [each.scores.held_out.kid.value for each in (wrong, right)]
    assert found.judged.kid.value == pytest.approx(kids[0] - kids[1])
    itself = difference_of(right, right)
    assert itself.both.low == itself.both.high == itself.judged.kid.low == 0


def test_the_best_is_higher_but_for_kid(right, wrong):
    best = best_routes({"wrong": wrong, "right": right})
    assert best.keys() == {"R@1", "KID", "both"}
    assert (best["both"].route, best["both"].leads.keys()) == ("right", {"wrong"})
    assert best["both"].leads["wrong"].value == 0.5
    kids = {"wrong": wrong.scores.held_out.kid.value, "right": right.scores.held_out.kid.value}
    nearest = min(kids, key=kids.get)
    (lead,) = best["KID"].leads.values()
    assert best["KID"].route == nearest
    assert lead.value == pytest.approx(-abs(kids["wrong"] - kids["right"]))


def test_a_result_survives_its_file(wrong):
    found = wrong.result()
    again = from_json(PicturesResult, to_json(found))
    assert again.scores.samples == found.scores.samples
    assert again.aspects.keys() == found.aspects.keys()
    assert to_json(again) == to_json(found)
