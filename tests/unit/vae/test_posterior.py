"""Posterior against golden numbers, diffusers, and its limits."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.golden import golden
from textdiff.vae import Posterior

CASE = golden("vae_kl")["by_id"]["kl_and_sample"]
GIVEN = {name: torch.tensor(v, dtype=torch.float64) for name, v in CASE["inputs"].items()}
EXPECTED = {name: torch.tensor(v, dtype=torch.float64) for name, v in CASE["outputs"].items()}


def test_kl_and_its_gradients_are_the_golden_ones():
    mean, logvar = GIVEN["mean"].clone().requires_grad_(), GIVEN["logvar"].clone().requires_grad_()
    posterior = Posterior(mean, logvar)
    torch.testing.assert_close(posterior.kl_per_element(), EXPECTED["kl_per_dim"])
    kl = posterior.kl()
    torch.testing.assert_close(kl, EXPECTED["kl_per_sample"])
    torch.testing.assert_close(kl.mean(), EXPECTED["kl_batch_mean"])
    kl.sum().backward()
    torch.testing.assert_close(mean.grad, EXPECTED["grad_mean"])
    torch.testing.assert_close(logvar.grad, EXPECTED["grad_logvar"])


def test_a_sample_is_the_golden_one():
    z = Posterior(GIVEN["mean"], GIVEN["logvar"]).sample(GIVEN["eps"])
    torch.testing.assert_close(z, EXPECTED["z"])


def test_it_is_the_distribution_of_diffusers():
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

    output = 20 * torch.randn(3, 8, 2, 2, generator=torch.Generator().manual_seed(0))
    theirs, ours = DiagonalGaussianDistribution(output), Posterior.of_output(output)
    assert torch.equal(ours.mean, theirs.mean) and torch.equal(ours.logvar, theirs.logvar)
    torch.testing.assert_close(ours.kl(), theirs.kl())
    assert theirs.logvar.min() == -30, "the case reaches the limit"


@given(st.floats(-50, 50), st.floats(-100, 100), st.sampled_from([torch.float32, torch.bfloat16]))
def test_kl_is_finite_and_not_negative(mean, logvar, dtype):
    output = torch.tensor([mean, logvar], dtype=dtype).view(1, 2, 1, 1)
    kl = Posterior.of_output(output).kl()
    assert kl.dtype == torch.float32 and kl.isfinite() and kl >= -1e-6
