"""Guidance on logits."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.golden import golden
from textdiff.binary.guidance import binary_classifier_free
from textdiff.binary.prediction import BinaryPrediction

CASES = golden("binary")["by_id"]


def test_golden_guidance():
    inputs, expected = (CASES["text_guided_logits"][key] for key in ("inputs", "outputs"))
    both = [inputs["logits_cond"], inputs["logits_uncond"]]
    logits = torch.tensor(both, dtype=torch.float64).view(2, 1, 1, 3)
    seen = []

    def denoise(x_t, timestep):
        seen.append((x_t.shape, timestep.tolist()))
        return BinaryPrediction(logits, "posterior")

    guided = binary_classifier_free(denoise, inputs["guidance_scale"])
    found = guided(torch.ones(1, 1, 1, 3), torch.tensor([4]))
    assert seen == [((2, 1, 1, 3), [4, 4])]
    assert found.predicts == "posterior"
    assert found.logits.flatten().tolist() == pytest.approx(expected["logits"], abs=1e-12)
    assert found.logits.sigmoid().flatten().tolist() == pytest.approx(expected["p_plus"], rel=1e-9)


@pytest.mark.parametrize(("scale", "row"), [(1.0, 0), (0.0, 1)])
def test_scale_one_is_the_conditional_and_zero_the_unconditional(scale, row):
    logits = torch.randn(2, 1, 2, 2, dtype=torch.float64)
    guided = binary_classifier_free(lambda x_t, timestep: BinaryPrediction(logits), scale)
    found = guided(torch.ones(1, 1, 2, 2), torch.tensor([0])).logits
    torch.testing.assert_close(found, logits[row : row + 1])
