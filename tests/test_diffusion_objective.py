"""L_simple: golden values, one loss per example, and its type under mixed precision."""

from __future__ import annotations

import pytest
import torch

from tests.conftest import golden
from textdiff.diffusion import simple_loss

OBJECTIVES = golden("objectives")
CONVERSIONS = [case for case in OBJECTIVES["cases"] if case["id"].startswith("convert_")]


def both(case: dict, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(torch.tensor(case["inputs"][name], dtype=dtype) for name in ("eps", "eps_hat"))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CONVERSIONS, ids=lambda case: case["id"])
def test_golden_mean_over_the_batch(case, dtype):
    loss = simple_loss(*both(case, getattr(torch, dtype))).mean()
    expected = torch.tensor(case["outputs"]["mse"]["eps"], dtype=loss.dtype)
    torch.testing.assert_close(loss, expected, **OBJECTIVES["tolerance"][dtype])


def test_golden_loss_of_each_example():
    case = OBJECTIVES["by_id"]["hybrid_linear"]
    expected = torch.tensor(case["outputs"]["mse"], dtype=torch.float64)
    torch.testing.assert_close(simple_loss(*both(case, torch.float64)), expected)


def test_network_in_half_precision_gives_a_float32_loss():
    eps = torch.ones(2, 3, 4, 4)
    assert simple_loss(eps, eps.bfloat16()).dtype == torch.float32
