"""A guidance gradient in the score form (ADM, arXiv 2105.05233, Algorithm 2).

    eps_hat <- eps_hat - b g            x_0_hat <- x_0_hat + (b^2 / a) g

g = scale * d log p(c | x_t) / d x_t, a = sqrt(ac), b = sqrt(1 - ac): the score of x_t is
-eps_hat / b, and a guide adds g to it. It shifts the mean of an ancestral step by
beta / sqrt(alpha) g, where `ddpm` shifts it by sigma^2 g. The two agree to 1% on a thousand steps
of the linear schedule with fixed_large; on ten steps they differ by factors of up to 2.6.

With zero terminal SNR a is 0 at the last timestep. There x_t says nothing of the picture, the exact
gradient is 0, and whatever g is does not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.types import Prediction


def score_form(prediction: Prediction, chain: NoiseSchedule, index: int) -> Prediction:
    """`prediction`, made at `index` of `chain`, with its gradient in x_0 and eps."""
    if prediction.gradient is None:
        return prediction
    ac = float(chain.alphas_cumprod[index])
    if ac == 0:
        return replace(prediction, gradient=None)
    return replace(
        prediction,
        x_0=prediction.x_0 + (1 - ac) / ac**0.5 * prediction.gradient,
        eps=prediction.eps - (1 - ac) ** 0.5 * prediction.gradient,
        gradient=None,
    )


def score_forms(
    predictions: Sequence[Prediction], chain: NoiseSchedule, index: int
) -> list[Prediction]:
    """The same of the last steps' predictions, of which [-1] was made at `index`."""
    first = index + len(predictions) - 1
    return [score_form(prediction, chain, first - k) for k, prediction in enumerate(predictions)]
