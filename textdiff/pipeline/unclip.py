"""Where the embedding z_i comes from that an unCLIP decoder draws (arXiv 2204.06125, section 3).

prompt ── Prior ─────────────────────────────► z_i     pictures of a prompt
prompt ── CLIP's text tower ─────────────────► z_t     the same without a prior, to compare
picture ── CLIP's image tower ───────────────► z_i     variations of a picture
two pictures ── slerp(z_1, z_2, share) ──────► z       what lies between them
picture, two texts ── slerp(z_i, d, share) ──► z       d = (z_t(to) - z_t(from)) / |.|
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from textdiff.clip.features import image_features, text_features
from textdiff.clip.model import ClipModel
from textdiff.diffusion.config import ProcessType
from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.embeddings import scaled_feature, slerp
from textdiff.errors import UsageError
from textdiff.pipeline.config import SamplingConfig
from textdiff.pipeline.init import square_picture
from textdiff.pipeline.model import Model
from textdiff.pipeline.plan import DrawPlan
from textdiff.pipeline.prior.config import PriorSampling
from textdiff.pipeline.sections import UnclipConfig
from textdiff.sampling import invert
from textdiff.types import Denoise, Features, Samples

if TYPE_CHECKING:
    from textdiff.pipeline.prior import Prior


def drawn_embeddings(
    prior: Prior, prompts: Sequence[str], config: SamplingConfig, first: int
) -> Features:
    """(n, E), unit length, of one picture per prompt; that of picture k is a function of the seed
    and first + k."""
    sampling = PriorSampling(
        num_candidates=config.unclip.prior_candidates,
        guidance_scale=config.unclip.prior_guidance_scale,
        num_steps=config.unclip.prior_steps,
        seed=config.seed,
    )
    return prior(prompts, first=first, **sampling.model_dump())


def text_embeddings(clip: ClipModel, prompts: Sequence[str]) -> Features:
    """z_t, (n, E), unit length."""
    return F.normalize(text_features(clip, list(prompts)), dim=1)


def varied_embedding(
    clip: ClipModel,
    config: UnclipConfig,
    vary: Image.Image | Tensor,
    vary_to: Image.Image | Tensor | None,
) -> Features:
    """(E,), unit length: of `vary`, moved by `config.share` where something to go to is given.

    vary, vary_to: PIL, or uint8 (3, H, W).
    """
    z = picture_embedding(clip, "vary", vary)
    if config.share is None:
        return z
    if vary_to is not None:
        return slerp(z, picture_embedding(clip, "vary_to", vary_to), config.share)
    assert config.text_from is not None
    assert config.text_to is not None
    before, after = text_embeddings(clip, [config.text_from, config.text_to])
    if torch.equal(before, after):
        raise UsageError("text_from and text_to are the same to this CLIP; give another text")
    return slerp(z, F.normalize(after - before, dim=0), config.share)


def picture_embedding(clip: ClipModel, name: str, picture: Image.Image | Tensor) -> Features:
    """z_i of one picture of any size, (E,), unit length."""
    pixels = square_picture(name, picture, clip.image_size)
    return F.normalize(image_features(clip, pixels[None]), dim=1)[0]


def check_inverted(plan: DrawPlan, process: ProcessType) -> None:
    """Raises UsageError if the noise of a picture cannot be kept in such a plan."""
    config = plan.config
    if config.sampler != "ddim" or config.eta or process != "gaussian":
        raise UsageError(
            "keep_noise takes DDIM back from the picture: leave it out, or draw with sampler ddim, "
            "eta 0 and a model of process gaussian"
        )
    if plan.init is not None:
        raise UsageError("keep_noise and an init image both say where to start; leave one out")


def inverted(denoise: Denoise, schedule: NoiseSchedule, grid: Tensor, x_0: Samples) -> Tensor:
    """x_T (C, H, W), from which DDIM comes back to x_0 (1, C, H, W) on the ascending `grid`."""
    (last,) = deque(invert(denoise, schedule, grid, x_0), maxlen=1)
    return last.x_t[0]


def noise_of(model: Model, plan: DrawPlan, picture: Image.Image | Tensor) -> Tensor:
    """x_T (C, H, W) from which the model, a decoder, draws the picture again.

    Raises:
        UsageError: as `check_inverted`. BadImage: a picture that cannot be converted.
    """
    check_inverted(plan, model.config.process)
    text = model.conditioning([plan.prompts[0]])
    own = scaled_feature(picture_embedding(model.clip, "vary", picture)[None])
    denoise = model.denoiser(replace(text, image=own.to(model.device)), plan.grid)
    pixels = square_picture("vary", picture, model.config.image_size)
    x_0 = model.codec.encode(pixels[None]).to(model.device)
    return inverted(cast(Denoise, denoise), cast(NoiseSchedule, model.schedule), plan.grid, x_0)
