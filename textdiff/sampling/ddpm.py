"""Ancestral sampling (DDPM, arXiv 2006.11239, Algorithm 2).

    x_{t-1} = mean_hat + sigma_t z,     z ~ N(0, I), and z = 0 on the last step
    mean_hat = posterior mean at x_0_hat (eq. 7), which is eq. 11 written with x_0_hat
    sigma_t^2 = beta_tilde_t ("fixed_small") or beta_t ("fixed_large")

On a shorter grid the betas are those of the respaced chain (IDDPM, arXiv 2102.09672, section 4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.types import Images, Prediction


@dataclass(frozen=True)
class DDPM:
    """Algorithm 2 with a fixed variance."""

    variance: Literal["fixed_small", "fixed_large"] = "fixed_small"

    def update(
        self,
        x_t: Images,
        prediction: Prediction,
        chain: NoiseSchedule,
        index: int,
        noise: Callable[[], Tensor],
    ) -> Images:
        on_x_0, on_x_t = (float(factor[index]) for factor in chain.posterior_coefficients)
        mean = on_x_0 * prediction.x_0 + on_x_t * x_t
        if index == 0:
            return mean
        table = chain.posterior_variance if self.variance == "fixed_small" else chain.betas
        return mean + float(table[index].sqrt()) * noise()
