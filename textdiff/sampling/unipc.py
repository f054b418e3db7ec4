"""UniPC of order 2, B_2(h) (arXiv 2302.04867): DPM-Solver++(2M) that mends each step by hindsight.

Over a step that came to x_t the exact solution is, in the symbols of `dpm_solver`,

    x_t = (b / b_before) x_before + a (1 - exp(-h)) D,   D = mean of x_0_hat, weight exp(lambda)

2M went with a D on the line through x_0_hat_before and the one before that. Now that x_0_hat at x_t
is known, D comes from the parabola through all three (UniC), and the step is moved to where it
should have ended before the next is taken (UniP, which is 2M):

    x_t <- x_t + a (1 - exp(-h)) (D_parabola - D_line)

The network is not asked again, so a step costs what 2M's does. The first step to be mended has two
predictions and takes their average.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.sampling.dpm_solver import DPMSolverPP, log_snr_step, midway
from textdiff.sampling.score import score_forms
from textdiff.types import Prediction, Samples


@dataclass(frozen=True)
class UniPC:
    """UniPC-2 in its data-prediction form."""

    def update(
        self,
        x_t: Samples,
        predictions: Sequence[Prediction],
        chain: NoiseSchedule,
        index: int,
        noise: Callable[[], Tensor],
    ) -> Samples:
        predictions = score_forms(predictions, chain, index)
        if len(predictions) > 1 and index > 0:
            a, h = float(chain.alphas_cumprod[index].sqrt()), log_snr_step(chain, index + 1)
            went_with = midway(predictions[:-1], chain, index + 1)
            missed = _in_hindsight(predictions, chain, index) - went_with
            x_t = x_t - a * math.expm1(-h) * missed
        return DPMSolverPP().update(x_t, predictions, chain, index, noise)


def _in_hindsight(predictions: Sequence[Prediction], chain: NoiseSchedule, index: int) -> Samples:
    """D of the step that came to `index`, from x_0_hat at its end, at its start, and before it."""
    *before, start, end = (prediction.x_0 for prediction in predictions)
    if not before:
        return (start + end) / 2
    h = log_snr_step(chain, index + 1)
    s = -log_snr_step(chain, index + 2) / h  # lambda of `before`; 0 is the start and 1 the end
    mean = -1 / math.expm1(-h) - 1 / h  # of s over the step, weight exp(lambda)
    mean_square = -1 / math.expm1(-h) - 2 / h * mean
    bend = (mean_square - mean) / (s - 1)
    return start + bend / s * (before[0] - start) + (mean - bend) * (end - start)
