"""Classifier-free guidance (arXiv 2207.12598): push the prediction away from the unconditional one.

    eps_hat = eps_uncond + guidance_scale (eps_cond - eps_uncond)            1.0 is off

x_0_hat and v_hat are affine in eps_hat at a given x_t, so the same combination holds for them.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from textdiff.types import Denoise, Images, Prediction, Timesteps

# (guided, conditional, x_t, timestep) -> what is made of the guided prediction
Correction = Callable[[Prediction, Prediction, Images, Timesteps], Prediction]


def classifier_free(
    denoise: Denoise, guidance_scale: float, correction: Correction | None = None
) -> Denoise:
    """Guides `denoise`, whose conditioning holds 2B rows: the B prompts, then their B negatives.

    Both halves go through the network as one batch. At scale 1.0 bind the prompts alone and do
    not call this: the second pass would be wasted. A learned variance is that of the prompts.
    A gradient is wrapped around this, not guided by it.

    Args:
        correction: such as `guidance.rescale`.
    """

    def guided(x_t: Images, timestep: Timesteps) -> Prediction:
        both = denoise(x_t.repeat(2, 1, 1, 1), timestep.repeat(2))
        (x_0, x_0_uncond), (eps, eps_uncond) = both.x_0.chunk(2), both.eps.chunk(2)
        mix = None if both.variance_mix is None else both.variance_mix.chunk(2)[0]

        def combine(cond: Tensor, uncond: Tensor) -> Tensor:
            return uncond + guidance_scale * (cond - uncond)

        found = Prediction(combine(x_0, x_0_uncond), combine(eps, eps_uncond), mix)
        if correction is None:
            return found
        return correction(found, Prediction(x_0, eps, mix), x_t, timestep)

    return guided
