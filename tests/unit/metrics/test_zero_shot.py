"""Zero-shot classification against golden values, and accuracy by class by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.golden import golden
from textdiff.metrics import (
    bootstrap,
    class_accuracies,
    class_weights,
    zero_shot_logits,
    zero_shot_ranks,
)
from textdiff.randomness import Stream

GOLDEN = golden("zeroshot")
CASE = GOLDEN["by_id"]["prompt_ensemble"]


def assert_golden(found: torch.Tensor, name: str) -> None:
    wanted = torch.tensor(CASE["outputs"][name], dtype=found.dtype)
    tolerance = GOLDEN["tolerance"][str(found.dtype).removeprefix("torch.")]
    torch.testing.assert_close(found, wanted, **tolerance)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_golden_weights_and_logits(dtype):
    weights = class_weights(torch.tensor(CASE["inputs"]["prompt_embeddings"], dtype=dtype))
    assert_golden(weights, "class_weights")
    images = torch.tensor(CASE["inputs"]["image_embeddings"], dtype=dtype)
    assert_golden(zero_shot_logits(images, weights), "logits")


def test_golden_accuracy():
    logits = torch.tensor(CASE["outputs"]["logits"], dtype=torch.float64)
    found = zero_shot_ranks(logits, torch.tensor(CASE["inputs"]["labels"]))
    assert found.tolist() == [1, 1, 1, 2]
    assert_golden((found <= 1).double().mean(), "top1")


def test_golden_probabilities():
    """To the tolerance of float32: the smallest of them are 1e-44."""
    logits = torch.tensor(CASE["outputs"]["logits"], dtype=torch.float64)
    wanted = torch.tensor(CASE["outputs"]["probabilities"], dtype=torch.float64)
    torch.testing.assert_close(logits.softmax(dim=1), wanted, rtol=1e-9, atol=1e-12)


def test_ties_count_against():
    assert zero_shot_ranks(torch.ones(2, 4), torch.tensor([0, 3])).tolist() == [4, 4]


def test_of_classes_of_one_name_the_first_is_predicted():
    """As by open_clip: its list of ImageNet has "missile" and "sunglasses" twice."""
    logits = torch.tensor([[3.0, 5.0, 3.0, 1.0]]).expand(3, 4)
    labels, name = torch.tensor([0, 2, 3]), torch.tensor([0, 1, 0, 2])
    assert zero_shot_ranks(logits, labels, name).tolist() == [2, 3, 4]
    assert zero_shot_ranks(logits, labels).tolist() == [3, 3, 4]


@given(st.integers(1, 20), st.integers(2, 12), st.integers(1, 12), st.integers(0, 99))
def test_ranks_within_k_are_the_k_best(images, classes, k, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.rand(images, classes, generator=generator)
    labels = torch.randint(classes, (images,), generator=generator)
    best = logits.topk(min(k, classes), dim=1).indices
    within = (best == labels[:, None]).any(dim=1)
    assert ((zero_shot_ranks(logits, labels) <= k) == within).all()


def test_accuracy_by_class_by_hand():
    hits = torch.tensor([True, False, True, True, True])
    found = class_accuracies(hits, torch.tensor([4, 4, 1, 1, 4]))
    assert found.classes == [1, 4]
    assert [each.value for each in found.each] == pytest.approx([1, 2 / 3])
    assert found.mean.value == pytest.approx(5 / 6)
    assert (found.each[0].low, found.each[0].high) == (1, 1)
    assert found.each[1].low == 0 and found.each[1].high == 1


def test_interval_of_the_mean_is_that_of_independent_classes():
    """Three classes of n images with p right: the mean has the variance p (1 - p) / 3n."""
    n, p = 400, 0.25
    hits = (torch.arange(3 * n) % 4 == 0).roll(1)
    found = class_accuracies(hits, torch.arange(3 * n) // n)
    assert found.mean.value == pytest.approx(p)
    assert found.mean.std_error == pytest.approx((p * (1 - p) / (3 * n)) ** 0.5, rel=0.1)


def test_resamples_in_parts_are_the_same(monkeypatch):
    """To the bit, with no more draws at once than are allowed."""
    at_once, integers = [], Stream.integers

    def counted(self, high, *shape):
        at_once.append(math.prod(shape))
        return integers(self, high, *shape)

    rng = torch.Generator().manual_seed(0)
    values, labels = torch.rand(300, generator=rng), torch.randint(4, (300,), generator=rng)
    whole = class_accuracies(values, labels, resamples=50)
    monkeypatch.setattr(bootstrap, "PART", 500)
    monkeypatch.setattr(Stream, "integers", counted)
    assert class_accuracies(values, labels, resamples=50) == whole
    assert max(at_once) <= 500 and sum(at_once) == 50 * 300


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1, max_size=30))
def test_the_mean_is_that_of_the_classes(pictures):
    hits, labels = map(torch.tensor, zip(*pictures, strict=True))
    found = class_accuracies(hits, labels, resamples=20)
    assert found.classes == sorted(set(labels.tolist()))
    mean = sum(each.value for each in found.each) / len(found.each)
    assert found.mean.value == pytest.approx(mean)
    assert 0 <= found.mean.low <= found.mean.high <= 1
