"""Classifier-free guidance (arXiv 2207.12598): push the prediction away from the unconditional one.

    eps_hat = eps_uncond + guidance_scale (eps_cond - eps_uncond)            1.0 is off

x_0_hat and v_hat are affine in eps_hat at a given x_t, so the same combination holds for them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from torch import Tensor

from textdiff.types import Denoise, Prediction, Samples, Timesteps

# (guided, conditional, x_t, timestep) -> what is made of the guided prediction
Correction = Callable[[Prediction, Prediction, Samples, Timesteps], Prediction]


@runtime_checkable
class DenoisePair(Protocol):
    """A denoiser with two texts bound to each row: (conditional, unconditional) predictions of the
    same x_t (B, ...), in one pass through the network."""

    def __call__(self, x_t: Samples, timestep: Timesteps, /) -> tuple[Prediction, Prediction]: ...


def classifier_free(
    pair: DenoisePair, guidance_scale: float, correction: Correction | None = None
) -> Denoise:
    """The guided denoiser of a pair.

    At scale 1.0 use the conditional denoiser instead: the second half of the pass would be wasted.
    A learned variance is the conditional one. A gradient is wrapped around this, not guided by it.

    Args:
        correction: such as `guidance.rescale`.
    """

    def combine(cond: Tensor, uncond: Tensor) -> Tensor:
        return uncond + guidance_scale * (cond - uncond)

    def guided(x_t: Samples, timestep: Timesteps) -> Prediction:
        cond, uncond = pair(x_t, timestep)
        prediction = Prediction(
            combine(cond.x_0, uncond.x_0), combine(cond.eps, uncond.eps), cond.variance_mix
        )
        if correction is None:
            return prediction
        return correction(prediction, cond, x_t, timestep)

    return guided
