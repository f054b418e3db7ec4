"""The training objective: predict the noise that was mixed into the picture.

    x_t = sqrt(ac_t) x_0 + sqrt(1 - ac_t) eps,   t ~ U{0..T-1},   eps ~ N(0, I)
    L_simple = | eps - eps_hat(x_t, t) |^2                       (DDPM, arXiv 2006.11239, eq. 14)

A network that outputs v is trained on | v - v_hat |^2, which is L_simple weighted by 1 / ac_t:
noisy pictures, whose content only the text can tell, count for more.
Losses are per example; the training loop averages them once.
"""

from __future__ import annotations

from textdiff.types import Images, PerSample


def simple_loss(target: Images, output: Images) -> PerSample:
    """Squared error averaged over C, H, W. target, output: (B, C, H, W) -> (B,).

    L_simple where the target is eps.

    Raises:
        ValueError: the shapes differ (they would broadcast in silence).
    """
    if target.shape != output.shape:
        raise ValueError(f"target is {tuple(target.shape)}, output {tuple(output.shape)}")
    return (target - output.to(target.dtype)).square().flatten(1).mean(1)
