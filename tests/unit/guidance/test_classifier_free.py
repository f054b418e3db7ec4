"""classifier_free: golden combinations, samples of any shape, what it costs, what it hands on."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.helpers.exact import no_noise
from tests.helpers.golden import golden
from textdiff.diffusion import NoiseSchedule, from_eps
from textdiff.diffusion.prediction import target
from textdiff.guidance import classifier_free
from textdiff.guidance.classifier_free import DenoisePair
from textdiff.sampling import DDIM, sample, timestep_grid
from textdiff.types import Prediction

GUIDANCE = golden("guidance")
SCHEDULE = NoiseSchedule.linear(1000)
SCALES = GUIDANCE["by_id"]["classifier_free"]["inputs"]["guidance_scales"]


def tensor(value) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def assert_golden(actual: Tensor, expected) -> None:
    torch.testing.assert_close(actual, tensor(expected), **GUIDANCE["tolerance"]["float64"])


def stated_pair(inputs: dict) -> DenoisePair:
    """What a golden case says of x_t with and without text."""

    def pair(x_t: Tensor, timestep: Tensor) -> tuple[Prediction, Prediction]:
        cond, uncond = (
            from_eps(SCHEDULE, tensor(inputs[f"eps_{of}"]), x_t, timestep)
            for of in ("cond", "uncond")
        )
        return cond, uncond

    return pair


@pytest.mark.parametrize("index", range(len(SCALES)), ids=[f"scale {s}" for s in SCALES])
def test_golden_eps(index):
    case = GUIDANCE["by_id"]["classifier_free"]
    guided = classifier_free(stated_pair(case["inputs"]), SCALES[index])
    eps = guided(torch.zeros(1, 1, 2, 2, dtype=torch.float64), torch.tensor([500])).eps
    assert_golden(eps, case["outputs"]["eps_guided"][index])


@pytest.mark.parametrize("name", ["eps", "x_0", "v"])
def test_golden_parameterisations_agree(name):
    case = GUIDANCE["by_id"]["classifier_free_parameterisations"]
    inputs, timestep = case["inputs"], torch.tensor([case["inputs"]["timestep"]])
    guided = classifier_free(stated_pair(inputs), inputs["guidance_scale"])
    prediction = guided(tensor(inputs["x_t"]), timestep)
    v = target("v", SCHEDULE, prediction.x_0, prediction.eps, timestep)
    values = {"eps": prediction.eps, "x_0": prediction.x_0, "v": v}
    assert_golden(values[name], case["outputs"][f"{name}_guided"])


class OffsetPair:
    """A pair whose unconditional eps lies 1 above the conditional one."""

    def __init__(self):
        self.calls: list[tuple[Tensor, Tensor]] = []

    def __call__(self, x_t: Tensor, timestep: Tensor) -> tuple[Prediction, Prediction]:
        self.calls.append((x_t, timestep))
        return conditional(x_t, timestep), unconditional(x_t, timestep)


def conditional(x_t: Tensor, timestep: Tensor) -> Prediction:
    return from_eps(SCHEDULE, x_t * 0.1, x_t, timestep)


def unconditional(x_t: Tensor, timestep: Tensor) -> Prediction:
    return from_eps(SCHEDULE, x_t * 0.1 + 1, x_t, timestep)


GENERATOR = torch.Generator().manual_seed(0)
X_T = torch.randn(2, 1, 2, 2, generator=GENERATOR, dtype=torch.float64)
TIMESTEP = torch.tensor([10, 700])


@pytest.mark.parametrize(("scale", "alone"), [(1.0, conditional), (0.0, unconditional)])
def test_scale_1_is_conditional_and_0_unconditional(scale, alone):
    guided = classifier_free(OffsetPair(), scale)(X_T, TIMESTEP)
    torch.testing.assert_close(guided.eps, alone(X_T, TIMESTEP).eps)


@pytest.mark.parametrize("shape", [(2, 1, 2, 2), (2, 5), (2, 3, 4)], ids=str)
def test_samples_of_any_shape_are_guided(shape):
    x_t = torch.ones(shape, dtype=torch.float64)
    guided = classifier_free(OffsetPair(), 3.0)(x_t, TIMESTEP)
    torch.testing.assert_close(guided.eps, x_t * 0.1 - 2)


def test_one_pass_per_step_over_the_samples_themselves():
    pair = OffsetPair()
    guided = classifier_free(pair, 3.0)
    list(sample(guided, SCHEDULE, DDIM(), timestep_grid(SCHEDULE, 4), X_T, no_noise))
    assert len(pair.calls) == 4
    assert torch.equal(pair.calls[0][0], X_T)


def test_learned_variance_is_the_conditional_one():
    def pair(x_t: Tensor, timestep: Tensor) -> tuple[Prediction, Prediction]:
        return Prediction(x_t, x_t, torch.zeros_like(x_t)), Prediction(x_t, x_t, x_t)

    mix = classifier_free(pair, 3.0)(X_T, TIMESTEP).variance_mix
    assert torch.equal(mix, torch.zeros_like(X_T))


def test_correction_sees_the_guided_and_the_conditional_prediction():
    seen = {}

    def correction(guided, cond, x_t, timestep) -> Prediction:
        seen.update(guided=guided, cond=cond, x_t=x_t, timestep=timestep)
        return cond

    corrected = classifier_free(OffsetPair(), 3.0, correction)(X_T, TIMESTEP)
    assert corrected is seen["cond"]
    assert torch.equal(seen["cond"].eps, conditional(X_T, TIMESTEP).eps)
    expected = classifier_free(OffsetPair(), 3.0)(X_T, TIMESTEP).eps
    torch.testing.assert_close(seen["guided"].eps, expected)
    assert seen["x_t"] is X_T
    assert seen["timestep"] is TIMESTEP
