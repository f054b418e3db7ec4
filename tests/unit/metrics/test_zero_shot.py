"""Zero-shot classification against golden values."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.golden import golden
from textdiff.metrics import class_weights, zero_shot_logits, zero_shot_ranks

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
