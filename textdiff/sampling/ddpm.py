"""Ancestral sampling (DDPM, arXiv 2006.11239, Algorithm 2).

    x_{t-1} = mean_hat + sigma_t z,     z ~ N(0, I);  x_0_hat on the last step, which is mean_hat
    mean_hat = posterior mean at x_0_hat (eq. 7), which is eq. 11 written with x_0_hat
    sigma_t^2 = beta_tilde_t ("fixed_small"), beta_t ("fixed_large") or between them ("learned")
    guided by a gradient g:  mean_hat + sigma_t^2 g       (ADM, arXiv 2105.05233, Algorithm 1)

On a shorter grid the betas are those of the respaced chain (IDDPM, arXiv 2102.09672, section 4),
and a learned variance lies between the respaced betas (`diffusion.variance`). The last step draws
no noise: its variance is 0, and a gradient moves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from textdiff.diffusion.config import VarianceType
from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.diffusion.variance import log_variance
from textdiff.types import Prediction, Samples


@dataclass(frozen=True)
class DDPM:
    """Algorithm 2. A learned variance needs predictions with a `variance_mix`."""

    variance: VarianceType = "fixed_small"

    def update(
        self,
        x_t: Samples,
        predictions: Sequence[Prediction],
        chain: NoiseSchedule,
        index: int,
        noise: Callable[[], Tensor],
    ) -> Samples:
        prediction = predictions[-1]
        if index == 0:
            return prediction.x_0
        step = torch.full((len(x_t),), index, device=x_t.device)
        mean, _ = chain.posterior(prediction.x_0, x_t, step)
        sigma = (log_variance(chain, self.variance, prediction, step) / 2).exp()
        if prediction.gradient is not None:
            mean = mean + sigma.square() * prediction.gradient
        return mean + sigma * noise()
