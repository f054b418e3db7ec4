"""What a CLIP says of pictures, as a log-probability to climb (GLIDE, arXiv 2112.10741, sec. 2.3).

    l(x) = exp(t) f(x) . sum_k w_k g_k

f(x) and g_k are unit features of the picture and of what to guide towards, captions or a picture;
exp(t) is CLIP's logit scale. By Bayes' rule, and up to a constant in c, a noised CLIP's logit is
log p(c | x_t): guidance with scale 1 draws from p(x | c) as this CLIP sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor

from textdiff.clip import features
from textdiff.clip.model import ClipModel
from textdiff.clip.noised import NoisedClip
from textdiff.types import Features, Images, PerSample, Samples, Timesteps

Encode = Callable[[Images, Timesteps], Features]  # unit features of x_t, or of x_0 at timestep 0
Reward = Callable[[Samples, Timesteps], PerSample]  # log p(c | x_t) of each picture


def image_encoder(clip: ClipModel | NoisedClip) -> Encode:
    """Unit features. A clean CLIP takes every picture for one without noise."""
    if isinstance(clip, NoisedClip):
        return lambda x, timestep: F.normalize(clip.encode_image(x, timestep), dim=-1)
    return lambda x, timestep: F.normalize(clip.encode_image(x), dim=-1)


def unit_text_features(clip: ClipModel | NoisedClip, prompts: Sequence[str]) -> Features:
    """Unit features g of the prompts, (n, E), on the CLIP's device."""
    return F.normalize(features.text_features(clip, prompts).to(clip.logit_scale.device), dim=-1)


def similarity(encode: Encode, target: Features, logit_scale: Tensor | float = 1.0) -> Reward:
    """l of B pictures. target: (B or 1, E), unit features or sums of them with weights, of which
    those below 0 push away."""
    return lambda x, timestep: logit_scale * (encode(x, timestep) * target).sum(dim=-1)
