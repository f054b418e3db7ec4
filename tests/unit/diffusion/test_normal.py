"""The normal distribution function in the logarithm, against torch's own in float64."""

from __future__ import annotations

import math

import pytest
import torch

from textdiff.diffusion.normal import log_normal_cdf

TOLERANCES = {torch.float64: 1e-13, torch.float32: 2e-5}  # as those of torch.erfc


@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
def test_log_normal_cdf(dtype):
    z = torch.linspace(-12, 12, 4801, dtype=torch.float64).to(dtype)
    expected = torch.special.log_ndtr(z.double())
    torch.testing.assert_close(
        log_normal_cdf(z).double(), expected, rtol=TOLERANCES[dtype], atol=1e-37
    )


@pytest.mark.parametrize("z", [-40.0, -math.inf, math.inf])
def test_log_normal_cdf_at_the_ends(z):
    z = torch.tensor(z, dtype=torch.float64)
    torch.testing.assert_close(log_normal_cdf(z), torch.special.log_ndtr(z))
