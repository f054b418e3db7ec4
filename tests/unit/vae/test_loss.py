"""Losses against golden numbers, torch, and the closed form of a linear-Gaussian VAE."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from tests.helpers.golden import golden
from textdiff.vae import Posterior
from textdiff.vae.loss import (
    best_log_variance,
    density_to_bits,
    dequantised,
    gaussian_nll,
    l1,
    l2,
    rate,
)

GENERATOR = torch.Generator().manual_seed(0)
X, X_HAT = (torch.rand(3, 3, 4, 4, generator=GENERATOR) * 2 - 1 for _ in range(2))


def test_reconstruction_losses_are_means_per_sample():
    for k in range(3):
        torch.testing.assert_close(l1(X, X_HAT)[k], nn.functional.l1_loss(X[k], X_HAT[k]))
        torch.testing.assert_close(l2(X, X_HAT)[k], nn.functional.mse_loss(X[k], X_HAT[k]))
        variance = torch.tensor(0.3)
        want = -torch.distributions.Normal(X_HAT[k], variance.sqrt()).log_prob(X[k]).mean()
        torch.testing.assert_close(gaussian_nll(X, X_HAT, variance.log())[k], want)


def test_the_best_variance_is_the_error():
    error = l2(X, X_HAT).mean()
    log_variance = torch.tensor(0.0, requires_grad=True)
    gaussian_nll(
        X, X_HAT, torch.tensor(best_log_variance(error.item())) + log_variance
    ).mean().backward()
    assert log_variance.grad.abs() < 1e-6


def test_the_bound_is_tight_at_the_exact_posterior_and_not_beside_it():
    """The golden one-dimensional VAE, its expectation by Gauss-Hermite points."""
    case = golden("vae_kl")["by_id"]["elbo_linear_gaussian"]
    given, expected = case["inputs"], case["outputs"]
    w, b, sigma = given["w"], given["b"], given["sigma"]
    x = torch.tensor(given["x"], dtype=torch.float64)[:, None]
    variance = expected["posterior_variance"]
    assert variance == pytest.approx(1 / (1 + w**2 / sigma**2))
    mean = variance * w * (x - b) / sigma**2

    def elbo(mean, variance):
        posterior = Posterior(mean, torch.full_like(mean, math.log(variance)))
        points = [posterior.sample(torch.full_like(mean, side)) for side in (1.0, -1.0)]
        log_variance = torch.tensor(2 * math.log(sigma), dtype=torch.float64)
        nll = sum(gaussian_nll(x, w * z + b, log_variance) for z in points) / 2
        return (-nll - rate(posterior, x)).tolist()

    assert elbo(mean, variance) == pytest.approx(expected["elbo_at_posterior"])
    assert elbo(mean, variance) == pytest.approx(expected["log_p_x"])
    beside = elbo(mean + given["q_mean_offset"], variance * given["q_var_factor"])
    assert beside == pytest.approx(expected["elbo_offset_q"])


def test_a_linear_gaussian_vae_learns_pca():
    """Probabilistic PCA (Tipping & Bishop 1999, eqs. 3, 4, 8): with q latents, the best s^2 is the
    mean of the other eigenvalues, and the likelihood, which the bound reaches, is

        -log p = (D log 2 pi + sum_{i<=q} log l_i + (D - q) log s^2 + D) / 2.

    The expectation over z is exact: a squared error is one over the points mean +- sqrt(q) std e_i.
    """
    D, q, n = 5, 2, 200
    generator = torch.Generator().manual_seed(3)
    scales = torch.tensor([3.0, 2.0, 0.6, 0.5, 0.4], dtype=torch.float64)
    basis = torch.linalg.qr(torch.randn(D, D, generator=generator, dtype=torch.float64))[0]
    x = torch.randn(n, D, generator=generator, dtype=torch.float64) * scales @ basis.T
    x = x - x.mean(0)
    eigenvalues = torch.linalg.eigvalsh(x.T @ x / n).flip(0)
    variance = eigenvalues[q:].mean()
    nats = eigenvalues[:q].log().sum() + (D - q) * variance.log() + D * (1 + math.log(2 * math.pi))
    best = (0.5 * nats / D).item()

    encoder, decoder = nn.Linear(D, q).double(), nn.Linear(q, D).double()
    logvar = nn.Parameter(torch.zeros(q, dtype=torch.float64))
    log_variance = nn.Parameter(torch.zeros((), dtype=torch.float64))
    parameters = [*encoder.parameters(), *decoder.parameters(), logvar, log_variance]
    optimizer = torch.optim.LBFGS(parameters, max_iter=500, line_search_fn="strong_wolfe")
    points = torch.cat([torch.eye(q), -torch.eye(q)]).double() * math.sqrt(q)

    def loss() -> torch.Tensor:
        posterior = Posterior(encoder(x), logvar.expand(n, q))
        nll = [
            gaussian_nll(x, decoder(posterior.sample(eps.expand(n, q))), log_variance)
            for eps in points
        ]
        return (torch.stack(nll).mean(0) + rate(posterior, x)).mean()

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    optimizer.step(closure)
    assert loss().item() == pytest.approx(best, abs=1e-3)
    assert loss().item() >= best - 1e-9, "the closed form is a lower limit"
    assert log_variance.exp().item() == pytest.approx(variance.item(), rel=0.01)


def test_bits_of_a_density_that_fills_one_level():
    """Uniform over the 256 levels takes 8 bits: a density of 127.5 / 256 everywhere."""
    nats = torch.tensor(-math.log(127.5 / 256))
    assert density_to_bits(nats).item() == pytest.approx(8.0)


def test_dequantised_levels_stay_in_their_interval():
    levels = torch.arange(256.0).view(1, 1, 16, 16)
    x = levels / 127.5 - 1
    uniform = torch.rand(x.shape, generator=torch.Generator().manual_seed(0))
    assert torch.equal(((dequantised(x, uniform) + 1) * 127.5).round(), levels)
