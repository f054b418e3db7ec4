"""The training objective: predict the noise that was mixed into the picture.

    x_t = sqrt(ac_t) x_0 + sqrt(1 - ac_t) eps,   t ~ U{0..T-1},   eps ~ N(0, I)
    L_simple = | eps - eps_hat(x_t, t) |^2                       (DDPM, arXiv 2006.11239, eq. 14)

Losses are per example; the training loop averages them once.
"""

from __future__ import annotations

from textdiff.types import Images, PerSample


def simple_loss(eps: Images, eps_hat: Images) -> PerSample:
    """L_simple: squared error averaged over C, H, W. eps, eps_hat: (B, C, H, W) -> (B,)."""
    return (eps - eps_hat.to(eps.dtype)).square().flatten(1).mean(1)
