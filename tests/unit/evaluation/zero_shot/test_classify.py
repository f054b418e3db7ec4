"""Classification against open_clip's own, with the same weights and pictures."""

from __future__ import annotations

import open_clip
import pytest
import torch

from tests.helpers.class_folders import write_class_folders
from textdiff.clip import ClipModel
from textdiff.clip.features import image_features
from textdiff.data import DataConfig, open_data
from textdiff.errors import CheckpointError
from textdiff.evaluation.features.cached import clip_features
from textdiff.evaluation.zero_shot import classify as module
from textdiff.evaluation.zero_shot.classes import Classes
from textdiff.evaluation.zero_shot.classify import build_classifier, classify
from textdiff.evaluation.zero_shot.pictures import features_of
from textdiff.evaluation.zero_shot.prompts import Prompts, prompts_of
from textdiff.evaluation.zero_shot.truth import Truth
from textdiff.metrics import class_accuracies, zero_shot_logits

NAMES = ("red", "green", "blue", "yellow", "circle", "cross", "black square")


def classes_of(*names: str) -> Classes:
    return Classes("test", names, (None,) * len(names))


@pytest.fixture(scope="module")
def clip(tiny_clip) -> ClipModel:
    return ClipModel.load(tiny_clip).freeze()


@pytest.fixture
def data(tmp_path):
    config = DataConfig(source=str(write_class_folders(tmp_path)), image_size=16)
    return open_data(config.model_copy(update={"need_captions": False}), "all")


@pytest.fixture
def truth(data) -> Truth:
    classes = classes_of(*NAMES)
    folders = [name.split("/")[0] for name in data.identifiers]
    return Truth("folder", classes, classes.labels(folders, folders))


@pytest.mark.parametrize("templates", ["simple", "name"])
def test_agrees_with_open_clip(clip, data, truth, templates):
    prompts = prompts_of(templates, NAMES)
    found = build_classifier(clip, truth.classes, prompts)
    tokenizer = open_clip.get_tokenizer("ViT-B-32", context_length=clip.context_length)
    theirs = open_clip.build_zero_shot_classifier(
        clip.model, tokenizer, NAMES, prompts.templates, num_classes_per_batch=3
    )
    torch.testing.assert_close(found.weights, theirs.T, rtol=1e-5, atol=1e-5)

    classified = classify(features_of(clip_features(clip), data), found, truth, top=5)
    images = image_features(clip, data.images(range(len(data))))
    logits = 100 * torch.nn.functional.normalize(images, dim=-1) @ theirs
    best = logits.topk(5, dim=1).indices
    for k in (1, 5):
        accuracy = (best[:, :k] == truth.labels[:, None]).any(dim=1).double().mean().item()
        ours = (classified.judged.ranks <= k).double().mean().item()
        assert ours == pytest.approx(accuracy, abs=1e-5)
    own = logits.softmax(dim=1).gather(1, classified.best)
    torch.testing.assert_close(classified.probabilities, own, rtol=1e-3, atol=1e-5)
    assert torch.equal(classified.best[:, 0], best[:, 0])


@pytest.mark.parametrize("top_k", [1, 5])
def test_the_accuracies_are_those_of_torchmetrics(clip, data, truth, top_k):
    functional = pytest.importorskip("torchmetrics.functional.classification")
    classifier = build_classifier(clip, truth.classes, prompts_of("plain", NAMES))
    judged = classify(features_of(clip_features(clip), data), classifier, truth, top=5).judged
    hits = judged.ranks <= top_k
    logits = zero_shot_logits(image_features(clip, data.images(range(16))), classifier.weights)
    settings = {"num_classes": len(NAMES), "top_k": top_k}
    micro = functional.multiclass_accuracy(logits, truth.labels, average="micro", **settings)
    macro = functional.multiclass_accuracy(logits, truth.labels, average="macro", **settings)
    assert hits.double().mean().item() == pytest.approx(micro.item(), abs=1e-6)
    found = class_accuracies(hits, judged.labels)
    assert found.mean.value == pytest.approx(macro.item(), abs=1e-6)


def test_groups_of_prompts_change_nothing(clip, truth, monkeypatch):
    prompts = prompts_of("simple", NAMES)
    whole = build_classifier(clip, truth.classes, prompts)
    monkeypatch.setattr(module, "PROMPTS_AT_ONCE", 14)
    parts = build_classifier(clip, truth.classes, prompts)
    torch.testing.assert_close(parts.weights, whole.weights)
    assert parts.prompts_cut == whole.prompts_cut


def test_prompts_that_are_cut_are_counted_once(clip):
    long = "word " * 40
    prompts = Prompts("test", None, ((long, "a"), ("b", "c"), (long, "a")))
    classifier = build_classifier(clip, classes_of("x", "y", "x"), prompts)
    assert classifier.prompts_cut == 1
    assert torch.equal(classifier.weights[0], classifier.weights[2])


def test_of_two_classes_of_one_name_the_first_is_right():
    """A picture of either is predicted as the first, as open_clip's topk does."""
    weights = torch.eye(3)[[0, 1, 0]]
    classes = classes_of("missile", "ship", "missile")
    truth = Truth("label", classes, torch.tensor([0, 2, 1]))
    features = [([0, 1], torch.eye(3)[[0, 0]]), ([2], torch.eye(3)[[1]])]
    classifier = module.Classifier(classes, weights, 0)
    classified = classify(features, classifier, truth, top=5)
    assert classified.best[:, 0].tolist() == [0, 0, 1]
    assert classified.judged.ranks.tolist() == [1, 2, 1]
    assert classified.best.shape == (3, 3)


def test_without_truth(clip, data, truth):
    classifier = build_classifier(clip, truth.classes, prompts_of("name", NAMES))
    by, untold = clip_features(clip), Truth("none", truth.classes, None)
    blind = classify(features_of(by, data), classifier, untold, 3)
    seen = classify(features_of(by, data), classifier, truth, 3)
    assert blind.judged is None
    assert torch.equal(blind.best, seen.best)
    assert blind.probabilities.sum(dim=1).max() <= 1 + 1e-6


def test_a_text_tower_that_gives_no_numbers(tiny_clip, truth):
    clip = ClipModel.load(tiny_clip).freeze()
    clip.model.text_projection.data.fill_(torch.nan)
    with pytest.raises(CheckpointError, match=r"by runs/x are NaN or infinite for 7 of 7"):
        build_classifier(clip, truth.classes, prompts_of("plain", NAMES), "runs/x")
