"""Classifier-free guidance of binary diffusion, on the logits (SPEC S10.8).

    logits_hat = logits_uncond + guidance_scale (logits_cond - logits_uncond)    1.0 is off

Log-odds are to coins what the score is to densities: p_hat ~ p_uncond (p_cond / p_uncond)^scale.
"""

from __future__ import annotations

from textdiff.binary.prediction import BinaryDenoise, BinaryPrediction
from textdiff.types import Images, Timesteps


def binary_classifier_free(denoise: BinaryDenoise, guidance_scale: float) -> BinaryDenoise:
    """Guides `denoise`, whose conditioning holds 2B rows: the B prompts, then their B negatives.

    As `classifier_free`: at scale 1.0 bind the prompts alone and do not call this.
    """

    def guided(x_t: Images, timestep: Timesteps) -> BinaryPrediction:
        both = denoise(x_t.repeat(2, 1, 1, 1), timestep.repeat(2))
        cond, uncond = both.logits.chunk(2)
        return BinaryPrediction(uncond + guidance_scale * (cond - uncond), both.predicts)

    return guided
