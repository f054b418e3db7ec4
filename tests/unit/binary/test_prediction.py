"""What binary networks say, and the reverse step that follows: golden, own shares, precision."""

from __future__ import annotations

import pytest
import torch

from tests.helpers.binary_pictures import picture
from tests.helpers.golden import golden
from textdiff.binary.prediction import BinaryPrediction, from_output, reverse_logits
from textdiff.binary.schedule import BinarySchedule

CASES = golden("binary")["by_id"]


def test_golden_exact_reverse_of_one_pixel():
    """Q averaged over the exact p(x_0 | x_t) is the exact reverse step."""
    inputs, expected = (CASES["exact_reverse_one_pixel"][key] for key in ("inputs", "outputs"))
    schedule = BinarySchedule.constant(inputs["T"], inputs["delta"])
    for row in expected["reverse"]:
        for name, sign in (("plus", 1.0), ("minus", -1.0)):
            prediction = BinaryPrediction(picture([row[f"x0_plus_given_{name}"]]).logit())
            logits = reverse_logits(
                schedule, prediction, picture([sign]), torch.tensor([row["t"] - 1])
            )
            near = pytest.approx(row[f"p_plus_given_{name}"], rel=1e-9)
            assert logits.sigmoid().item() == near


def test_output_zero_is_a_pixel_of_which_only_its_own_value_is_known():
    """p(x_0 = x_t) with even odds beforehand; and the same one step back for the posterior."""
    schedule, x_t, nothing = BinarySchedule.cosine(10), picture([-1.0]), picture([0.0])
    for t in range(10):
        said = from_output("x_0", schedule, nothing, x_t, torch.tensor([t])).logits.sigmoid()
        assert said.item() == pytest.approx(float(schedule.flip_probability[t]))
        said = from_output("posterior", schedule, nothing, x_t, torch.tensor([t])).logits.sigmoid()
        assert said.item() == pytest.approx(float(schedule.deltas[t]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("predicts", ["x_0", "posterior"])
def test_half_precision_keeps_its_distance_from_the_ends(dtype, predicts):
    """Pictures and outputs in half precision lose only what their own rounding loses."""
    schedule = BinarySchedule.cosine(1000)
    output = torch.linspace(-4, 4, 8).view(1, 1, 1, 8).to(dtype)
    x_t = picture([1.0, -1.0] * 4)
    for t in (0, 1, 500, 999):
        timestep = torch.tensor([t])
        found, exact = (
            reverse_logits(
                schedule,
                from_output(predicts, schedule, output.to(kind), x_t.to(kind), timestep),
                x_t.to(kind),
                timestep,
            )
            for kind in (dtype, torch.float64)
        )
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.double(), exact, rtol=1e-4, atol=1e-4)


def test_a_posterior_network_cannot_skip_steps():
    chain = BinarySchedule.linear(10).respaced(torch.tensor([0, 2]))
    with pytest.raises(ValueError, match="takes every step"):
        reverse_logits(
            chain, BinaryPrediction(picture([0.0]), "posterior"), picture([1.0]), torch.tensor([1])
        )
