"""CLIP score against golden values, in both of its scales."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.golden import golden
from textdiff.metrics import clip_scores

GOLDEN = golden("zeroshot")
CASE = GOLDEN["by_id"]["clip_score"]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize(("weight", "name"), [(100.0, "x100"), (2.5, "w2.5")])
def test_golden(weight, name, dtype):
    given, expected = CASE["inputs"], CASE["outputs"]
    images = torch.tensor(given["image_embeddings"], dtype=dtype)
    texts = torch.tensor(given["text_embeddings"], dtype=dtype)
    found = clip_scores(images, texts, weight=weight)
    tolerance = GOLDEN["tolerance"][str(dtype).removeprefix("torch.")]
    wanted = torch.tensor(expected[f"clipscore_{name}"], dtype=dtype)
    torch.testing.assert_close(found, wanted, **tolerance)
    wanted_mean = torch.tensor(expected[f"mean_clipscore_{name}"], dtype=dtype)
    torch.testing.assert_close(found.mean(), wanted_mean, **tolerance)


def test_default_is_cosine_times_100():
    assert clip_scores(torch.ones(1, 3), torch.ones(1, 3)).item() == pytest.approx(100)


@pytest.mark.usefixtures("shapes_not_checked")
def test_unpaired_features_are_refused():
    with pytest.raises(ValueError, match=r"\(1, 3\) and text features \(2, 3\)"):
        clip_scores(torch.ones(1, 3), torch.ones(2, 3))
