"""Guidance on logits."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.golden import golden
from textdiff.binary.guidance import binary_classifier_free, binary_interval
from textdiff.binary.prediction import BinaryPrediction

CASES = golden("binary")["by_id"]


def pair_of(cond: torch.Tensor, uncond: torch.Tensor, predicts: str = "x_0"):
    return lambda x_t, timestep: (
        BinaryPrediction(cond, predicts),
        BinaryPrediction(uncond, predicts),
    )


def test_golden_guidance():
    inputs, expected = (CASES["text_guided_logits"][key] for key in ("inputs", "outputs"))
    cond, uncond = (
        torch.tensor(inputs[f"logits_{of}"], dtype=torch.float64).view(1, 1, 1, 3)
        for of in ("cond", "uncond")
    )
    pair = pair_of(cond, uncond, "posterior")
    guided = binary_classifier_free(pair, inputs["guidance_scale"])
    prediction = guided(torch.ones(1, 1, 1, 3), torch.tensor([4]))
    assert prediction.predicts == "posterior"
    assert prediction.logits.flatten().tolist() == pytest.approx(expected["logits"], abs=1e-12)
    plus = prediction.logits.sigmoid().flatten().tolist()
    assert plus == pytest.approx(expected["p_plus"], rel=1e-9)


@pytest.mark.parametrize(("scale", "row"), [(1.0, 0), (0.0, 1)])
def test_scale_one_is_the_conditional_and_zero_the_unconditional(scale, row):
    logits = torch.randn(2, 1, 2, 2, dtype=torch.float64)
    guided = binary_classifier_free(pair_of(logits[:1], logits[1:]), scale)
    prediction = guided(torch.ones(1, 1, 2, 2), torch.tensor([0]))
    torch.testing.assert_close(prediction.logits, logits[row : row + 1])


@pytest.mark.usefixtures("shapes_not_checked")  # what is chosen are words
@pytest.mark.parametrize(
    ("timestep", "expected"), [(1, "outside"), (2, "inside"), (5, "inside"), (6, "outside")]
)
def test_an_interval_has_both_of_its_ends(timestep, expected):
    chosen = binary_interval(lambda *_: "inside", lambda *_: "outside", (2, 5))
    assert chosen(None, torch.tensor([timestep])) == expected


@pytest.mark.usefixtures("shapes_not_checked")
def test_no_interval_is_all_timesteps():
    assert binary_interval(lambda *_: "inside", lambda *_: "outside", None)(None, None) == "inside"
