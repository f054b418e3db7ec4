"""Accuracy and confusions by hand and by torchmetrics; what is printed, drawn and written."""

from __future__ import annotations

import json
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.helpers.protocols import CLIP, DATA
from textdiff.evaluation.results import from_json, to_json
from textdiff.evaluation.zero_shot.classes import Classes
from textdiff.evaluation.zero_shot.classify import Classified, Judged
from textdiff.evaluation.zero_shot.measure import confusion, count_first, measure_accuracies
from textdiff.evaluation.zero_shot.plot import draw_confusion
from textdiff.evaluation.zero_shot.predictions import Prediction
from textdiff.evaluation.zero_shot.prompts import prompts_of
from textdiff.evaluation.zero_shot.result import (
    ZeroShotProtocol,
    ZeroShotResult,
    zero_shot_protocol,
)
from textdiff.evaluation.zero_shot.table import SHOWN_CLASSES, print_accuracies, print_best
from textdiff.evaluation.zero_shot.truth import Truth
from textdiff.metrics.zero_shot import zero_shot_ranks


def classes_of(number: int) -> Classes:
    names = tuple(f"class {k}" for k in range(number))
    return Classes("test", names, tuple(f"n{k}" for k in range(number)))


def judge(logits: torch.Tensor, labels: torch.Tensor) -> tuple[Classified, Judged]:
    best = logits.sort(dim=1, descending=True, stable=True).indices[:, :5]
    judged = Judged(labels, zero_shot_ranks(logits, labels))
    probabilities = logits.softmax(dim=1).gather(1, best)
    return Classified(list(range(len(labels))), best, probabilities, judged), judged


def measured(logits: torch.Tensor, labels: list[int]):
    classified, judged = judge(logits, torch.tensor(labels))
    classes = classes_of(logits.shape[1])
    counts = confusion(classified, judged, len(classes))
    names = [f"{k}.png" for k in range(len(labels))]
    found = measure_accuracies(judged, counts, classes, pictures=names, prompts_cut=0)
    return found, counts, classes


# of class 0: right, right, taken for 2; of 1: taken for 2; of 2: right; of 3: none
LABELS = [0, 0, 0, 1, 2]
LOGITS = torch.eye(4)[[0, 0, 2, 2, 2]] + 0.1 * torch.eye(4)[LABELS]


@pytest.fixture
def small():
    return measured(LOGITS, LABELS)


def test_by_hand(small):
    result, counts, _ = small
    assert counts.tolist() == [[2, 0, 1, 0], [0, 0, 1, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert result.accuracies.top_1.accuracy.value == pytest.approx(3 / 5)
    assert result.accuracies.mean_per_class.accuracy.value == pytest.approx((2 / 3 + 0 + 1) / 3)
    assert result.accuracies.top_5 is None
    assert result.accuracies.top_1.chance == 1 / 4
    rates = [(r.name, r.pictures, r.accuracy.value, r.taken_for) for r in result.classes]
    assert rates == [
        ("class 1", 1, 0, "class 2"),
        ("class 0", 3, pytest.approx(2 / 3), "class 2"),
        ("class 2", 1, 1, None),
    ]
    pairs = [(pair.truth, pair.taken_for, pair.pictures, pair.share) for pair in result.confused]
    assert pairs == [
        ("class 1", "class 2", 1, 1),
        ("class 0", "class 2", 1, pytest.approx(1 / 3)),
    ]


def test_top_5_of_more_classes():
    result, *_ = measured(torch.arange(10.0).expand(2, 10), [5, 4])
    assert result.accuracies.top_5.accuracy.value == 1 / 2
    assert result.accuracies.top_5.chance == pytest.approx(1 / 2)
    assert [name for name, _ in result.estimates()] == ["top-1", "top-5", "mean per class"]


def test_a_tie_with_the_right_class_is_taken_for_the_other():
    result, counts, _ = measured(torch.tensor([[1.0, 1, 0], [1, 1, 0]]), [0, 1])
    assert result.accuracies.top_1.accuracy.value == 0
    assert counts.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]]


@given(st.integers(2, 8), st.integers(1, 30), st.integers(0, 99), st.integers(1, 4))
def test_the_diagonal_counts_what_is_right(number, images, seed, levels):
    """Also among many ties: few levels of scores."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randint(levels, (images, number), generator=generator).double()
    labels = torch.randint(number, (images,), generator=generator)
    classified, judged = judge(logits, labels)
    counts = confusion(classified, judged, number)
    assert counts.sum() == images
    assert counts.diagonal().sum() == (judged.ranks == 1).sum()


def test_confusions_are_those_of_torchmetrics():
    functional = pytest.importorskip("torchmetrics.functional.classification")
    generator = torch.Generator().manual_seed(3)
    logits = torch.rand(200, 7, generator=generator)
    labels = torch.randint(7, (200,), generator=generator)
    _, counts, _ = measured(logits, labels.tolist())
    theirs = functional.multiclass_confusion_matrix(logits, labels, num_classes=7)
    assert torch.equal(counts, theirs)


def test_keys_on_disk(small):
    result, *_ = small
    content = to_json(result)
    assert content.keys() == {
        *("pictures", "prompts_cut", "results", "by_class", "confused", "per_item"),
    }
    assert content["results"].keys() == {"top-1", "mean per class"}
    assert {"name", "id", "pictures", "mean", "low", "high"} < content["by_class"][0].keys()
    assert to_json(from_json(ZeroShotResult, content)) == content


def test_the_protocol_on_disk():
    truth = Truth("folder", classes_of(3), None)
    prompts = prompts_of("simple", truth.classes.names)
    protocol = zero_shot_protocol(truth, prompts, DATA, CLIP)
    content = to_json(protocol)
    assert content["prompts"]["source"] == "simple" and content["prompts"]["per_class"] == 7
    assert content["classes"]["number"] == 3 and content["logit_scale"] == 100
    assert content["truth"] == "folder"
    assert from_json(ZeroShotProtocol, json.loads(json.dumps(content))) == protocol


def test_tables(small, capsys):
    result, *_ = small
    print_accuracies(result, "Zero-shot among 4 classes")
    shown = capsys.readouterr().out
    assert "60.0%" in shown and "25.00%" in shown
    worst, best = shown.index("class 1"), shown.index("67%")
    assert worst < best and "more classes" not in shown


def test_many_classes_are_cut_with_a_note(capsys):
    number = SHOWN_CLASSES + 7
    result, *_ = measured(torch.eye(number), list(range(number)))
    print_accuracies(result, "many")
    shown = capsys.readouterr().out
    assert "and 7 more classes, at 100% or above; --json lists all" in shown


def test_without_truth(capsys):
    classified, _ = judge(LOGITS, torch.tensor(LABELS))
    result = count_first(classified, classes_of(4), prompts_cut=2)
    assert result.first == {"class 2": 3, "class 0": 2}
    assert list(result.first) == ["class 2", "class 0"]
    rows = [
        Prediction(f"{k}.png", None, None, ["class 2", "class 0"], [0.75, 0.2]) for k in range(60)
    ]
    print_best(result, iter(rows), "Best of 4 classes")
    shown = capsys.readouterr().out
    assert "class 2 75%, class 0 20%" in shown and "49.png" in shown and "50.png" not in shown
    assert "2 prompts are longer than the text tower reads" in shown


@pytest.mark.parametrize("number", [2, 20, 41])
def test_the_picture_grows_with_the_classes_until_it_shows_pairs(tmp_path, number):
    pytest.importorskip("matplotlib")
    labels = [k % number for k in range(3 * number)]
    taken = [0 if k % 5 == 0 else label for k, label in enumerate(labels)]
    result, counts, classes = measured(torch.eye(number)[taken], labels)
    path = tmp_path / "new" / "confusion.png"
    draw_confusion(str(path), result, counts, [f"{n} $x" for n in classes.names], "title")
    with Image.open(path) as picture:
        wide = 11 if number > 40 else max(5.0, 1.9 + 0.27 * number)
        assert picture.width == math.floor(wide * 120)
        colours = {colour for _, colour in picture.convert("RGB").getcolors(maxcolors=1 << 16)}
    assert len(colours) > 10


def test_ranks_of_single_pictures_are_kept(small):
    kept = small[0].per_item["pictures"]
    assert kept.items == [f"{k}.png" for k in range(5)]
    assert kept.values["class"] == LABELS
    assert [rank == 1 for rank in kept.values["rank"]] == [True, True, False, False, True]
