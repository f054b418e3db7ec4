"""DDIM (arXiv 2010.02502, eq. 12): a deterministic path at eta = 0, ancestral sampling at eta = 1.

    x' = sqrt(ac') x_0_hat + sqrt(1 - ac' - sigma^2) eps_hat + sigma z
    sigma = eta sqrt((1 - ac') / (1 - ac)) sqrt(1 - ac / ac')                          (eq. 16)

ac' belongs to the next step of the grid and is 1 after the last, where x' = x_0_hat. A guidance
gradient enters in the score form (`sampling.score`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.sampling.score import score_form
from textdiff.types import Prediction, Samples


@dataclass(frozen=True)
class DDIM:
    """eta in [0, 1]: 0 draws no noise, 1 equals DDPM with fixed_small on the same grid."""

    eta: float = 0.0

    def update(
        self,
        x_t: Samples,
        predictions: Sequence[Prediction],
        chain: NoiseSchedule,
        index: int,
        noise: Callable[[], Tensor],
    ) -> Samples:
        prediction = score_form(predictions[-1], chain, index)
        ac, ac_next = float(chain.alphas_cumprod[index]), float(chain.alphas_cumprod_prev[index])
        variance = self.eta**2 * (1 - ac_next) / (1 - ac) * (1 - ac / ac_next)
        direction = max(1 - ac_next - variance, 0.0) ** 0.5
        x = ac_next**0.5 * prediction.x_0 + direction * prediction.eps
        return x + variance**0.5 * noise() if variance > 0 else x
