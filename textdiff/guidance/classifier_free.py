"""Classifier-free guidance (arXiv 2207.12598): push the prediction away from the unconditional one.

    eps_hat = eps_uncond + guidance_scale (eps_cond - eps_uncond)            1.0 is off

x_0_hat is affine in eps_hat at a given x_t, so the same combination holds for it.
"""

from __future__ import annotations

from textdiff.types import Denoise, Images, Prediction, Timesteps


def classifier_free(denoise: Denoise, guidance_scale: float) -> Denoise:
    """Guides `denoise`, whose conditioning holds 2B rows: the B prompts, then their B negatives.

    Both halves go through the network as one batch. At scale 1.0 bind the prompts alone and do
    not call this: the second pass would be wasted.
    """

    def guided(x_t: Images, timestep: Timesteps) -> Prediction:
        both = denoise(x_t.repeat(2, 1, 1, 1), timestep.repeat(2))

        def combine(value: Images) -> Images:
            cond, uncond = value.chunk(2)
            return uncond + guidance_scale * (cond - uncond)

        return Prediction(x_0=combine(both.x_0), eps=combine(both.eps))

    return guided
