"""classifier_free: golden combinations, the order of the rows, what it costs, what it hands on."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tests.helpers.golden import golden
from textdiff.diffusion import NoiseSchedule, from_eps
from textdiff.diffusion.prediction import target
from textdiff.guidance import classifier_free
from textdiff.sampling import DDIM, sample, timestep_grid
from textdiff.types import Denoise, Prediction

GUIDANCE = golden("guidance")
SCHEDULE = NoiseSchedule.linear(1000)
SCALES = GUIDANCE["by_id"]["classifier_free"]["inputs"]["guidance_scales"]


def tensor(value) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def assert_golden(actual: Tensor, expected) -> None:
    torch.testing.assert_close(actual, tensor(expected), **GUIDANCE["tolerance"]["float64"])


def conditional_first(inputs: dict) -> Denoise:
    """A network that says eps_cond for the first half of its rows and eps_uncond for the rest."""

    def denoise(x_t: Tensor, timestep: Tensor) -> Prediction:
        rows = [tensor(inputs[f"eps_{of}"]) for of in ("cond", "uncond")]
        return from_eps(SCHEDULE, torch.cat(rows), x_t, timestep)

    return denoise


@pytest.mark.parametrize("index", range(len(SCALES)), ids=[f"scale {s}" for s in SCALES])
def test_golden_eps(index):
    case = GUIDANCE["by_id"]["classifier_free"]
    guided = classifier_free(conditional_first(case["inputs"]), SCALES[index])
    eps = guided(torch.zeros(1, 1, 2, 2, dtype=torch.float64), torch.tensor([500])).eps
    assert_golden(eps, case["outputs"]["eps_guided"][index])


@pytest.mark.parametrize("name", ["eps", "x_0", "v"])
def test_golden_parameterisations_agree(name):
    case = GUIDANCE["by_id"]["classifier_free_parameterisations"]
    inputs, timestep = case["inputs"], torch.tensor([case["inputs"]["timestep"]])
    guided = classifier_free(conditional_first(inputs), inputs["guidance_scale"])
    said = guided(tensor(inputs["x_t"]), timestep)
    v = target("v", SCHEDULE, said.x_0, said.eps, timestep)
    found = {"eps": said.eps, "x_0": said.x_0, "v": v}[name]
    assert_golden(found, case["outputs"][f"{name}_guided"])


class RowWise:
    """A network whose answer depends on the row's class, 0 for prompts and 1 for negatives."""

    def __init__(self, classes: list[int]):
        self.classes, self.calls = torch.tensor(classes, dtype=torch.float64), []

    def __call__(self, x_t: Tensor, timestep: Tensor) -> Prediction:
        self.calls.append((x_t, timestep))
        eps = x_t * 0.1 + self.classes.view(-1, 1, 1, 1)
        return from_eps(SCHEDULE, eps, x_t, timestep)


X_T = torch.randn(2, 1, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
TIMESTEP = torch.tensor([10, 700])


@pytest.mark.parametrize(("scale", "classes"), [(1.0, [0, 0]), (0.0, [1, 1])])
def test_scale_1_is_conditional_and_0_unconditional(scale, classes):
    guided = classifier_free(RowWise([0, 0, 1, 1]), scale)(X_T, TIMESTEP)
    torch.testing.assert_close(guided.eps, RowWise(classes)(X_T, TIMESTEP).eps)


def test_both_halves_see_the_same_images_and_timesteps():
    network = RowWise([0, 0, 1, 1])
    classifier_free(network, 3.0)(X_T, TIMESTEP)
    ((x_t, timestep),) = network.calls
    assert torch.equal(x_t, torch.cat([X_T, X_T]))
    assert timestep.tolist() == [10, 700, 10, 700]


def test_one_network_call_per_step():
    network = RowWise([0, 0, 1, 1])
    guided = classifier_free(network, 3.0)
    list(sample(guided, SCHEDULE, DDIM(), timestep_grid(SCHEDULE, 4), X_T, None))
    assert len(network.calls) == 4


def test_learned_variance_is_that_of_the_prompts():
    mix = torch.arange(4.0).view(4, 1, 1, 1)

    def denoise(x_t: Tensor, timestep: Tensor) -> Prediction:
        return Prediction(x_t, x_t, mix)

    found = classifier_free(denoise, 3.0)(X_T, TIMESTEP).variance_mix
    assert found.flatten().tolist() == [0, 1]


def test_correction_sees_the_guided_and_the_conditional_prediction():
    seen = {}

    def correction(guided, cond, x_t, timestep) -> Prediction:
        seen.update(guided=guided, cond=cond, x_t=x_t, timestep=timestep)
        return cond

    network = RowWise([0, 0, 1, 1])
    found = classifier_free(network, 3.0, correction)(X_T, TIMESTEP)
    assert found is seen["cond"]
    assert torch.equal(seen["cond"].eps, RowWise([0, 0])(X_T, TIMESTEP).eps)
    torch.testing.assert_close(seen["guided"].eps, classifier_free(network, 3.0)(X_T, TIMESTEP).eps)
    assert seen["x_t"] is X_T
    assert seen["timestep"] is TIMESTEP
