"""DPM-Solver++(2M), a deterministic two-step solver, and its SDE form (arXiv 2211.01095).

    ODE  x' = (b'/b) x_t + a' (1 - exp(-h)) D
    SDE  x' = (b'/b) exp(-h) x_t + a' (1 - exp(-2h)) D + b' sqrt(1 - exp(-2h)) z
    D = x_0_hat + (h / h_before) (x_0_hat - x_0_hat_before) / 2

a = sqrt(ac), b = sqrt(1 - ac), lambda = log(a / b), h = lambda' - lambda; primes belong to the next
step of the grid, "before" to the step before. x_0_hat is followed along a line in lambda to the
middle of the step, and the rest of the equation solved exactly. The first step has D = x_0_hat,
which makes it DDIM's, with eta 0 or for the SDE 1. After the last, a' = 1 and x' = x_0_hat.

A guidance gradient enters in the score form (`sampling.score`), that is by x_0_hat.

With zero terminal SNR h is infinite on the first step: exp(-h) = 0, and h / h_before = 0 on the
second.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.sampling.score import score_forms
from textdiff.types import Prediction, Samples


@dataclass(frozen=True)
class DPMSolverPP:
    """DPM-Solver++(2M); with `sde`, SDE-DPM-Solver++(2M), which draws noise on every step."""

    sde: bool = False

    def update(
        self,
        x_t: Samples,
        predictions: Sequence[Prediction],
        chain: NoiseSchedule,
        index: int,
        noise: Callable[[], Tensor],
    ) -> Samples:
        predictions = score_forms(predictions, chain, index)
        if index == 0:
            return predictions[-1].x_0
        h = log_snr_step(chain, index)
        b, b_next = (float((1 - chain.alphas_cumprod[i]).sqrt()) for i in (index, index - 1))
        a_next = float(chain.alphas_cumprod[index - 1].sqrt())
        D = midway(predictions, chain, index)
        if not self.sde:
            return b_next / b * x_t - a_next * math.expm1(-h) * D
        fresh = -math.expm1(-2 * h)
        x = b_next / b * math.exp(-h) * x_t + a_next * fresh * D
        return x + b_next * fresh**0.5 * noise()


def log_snr_step(chain: NoiseSchedule, index: int) -> float:
    """h > 0, by which half_log_snr rises from `index` to the next less noisy step."""
    return float(chain.half_log_snr[index - 1] - chain.half_log_snr[index])


def midway(predictions: Sequence[Prediction], chain: NoiseSchedule, index: int) -> Samples:
    """D: x_0_hat in the middle of the step from `index`, on the line through the last two."""
    x_0 = predictions[-1].x_0
    if len(predictions) == 1:
        return x_0
    ratio = log_snr_step(chain, index) / log_snr_step(chain, index + 1)
    return x_0 + ratio / 2 * (x_0 - predictions[-2].x_0)
