"""A CLIP that guides by its gradient, as `TextToImage` uses it.

prompts, or a picture ── CLIP ──► target (B, E) ── similarity ──► reward
denoise ── at_x_t or at_x_0 ── normalised, limited, held ── in range ── only at some steps ──►
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from textdiff.clip import noised
from textdiff.clip.model import ClipModel
from textdiff.clip.noised import NoisedClip
from textdiff.diffusion.config import ScheduleConfig
from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.errors import UsageError
from textdiff.guidance.clip_gradient import at_x_0, at_x_t
from textdiff.guidance.cutouts import cutout_encoder
from textdiff.guidance.interval import only_at
from textdiff.guidance.shift import held, limited, normalised
from textdiff.guidance.similarity import image_encoder, similarity, unit_text_features
from textdiff.pipeline.config import ModelConfig, SamplingConfig
from textdiff.sampling.threshold import gradient_threshold
from textdiff.types import Denoise, Features


@dataclass(frozen=True)
class ClipGuide:
    """A frozen CLIP and what it guides B pictures towards: (B or 1, E), sums of unit features."""

    clip: ClipModel | NoisedClip
    target: Features

    @classmethod
    @torch.no_grad()
    def of(
        cls,
        clip: ClipModel | NoisedClip,
        prompts: Sequence[str],
        config: SamplingConfig,
        image: Tensor | None = None,
    ) -> ClipGuide:
        """Each picture towards its prompt; or all of them towards `config.clip_prompts`, or
        towards `image` (3, S, S) in [-1, 1]."""
        if image is not None:
            pictures = image[None].to(clip.logit_scale.device)
            timestep = torch.zeros(1, dtype=torch.int64, device=pictures.device)
            return cls(clip, image_encoder(clip)(pictures, timestep))
        if config.clip_prompts:
            features = unit_text_features(clip, config.clip_prompts)
            weights = config.clip_weights or [1.0] * len(features)
            return cls(clip, features.new_tensor([weights]) @ features)
        return cls(clip, unit_text_features(clip, prompts))

    def guided(
        self,
        denoise: Denoise,
        schedule: NoiseSchedule,
        grid: Tensor,
        config: SamplingConfig,
        seeds: Sequence[tuple],
    ) -> Denoise:
        """`denoise` with a gradient at the steps of `grid` that `config` wants guided.

        seeds: of the B pictures, a tuple of parts each.
        """
        encode = image_encoder(self.clip)
        if config.clip_cutouts:
            encode = cutout_encoder(encode, config.clip_cutouts, seeds)
        reward = similarity(encode, self.target, self.clip.logit_scale)
        scale = config.clip_guidance_scale
        at_noise = seen(self.clip, config) == "x_t"
        if at_noise:
            guided = at_x_t(denoise, reward, scale)
        else:
            guided = at_x_0(denoise, schedule, reward, scale, config.clip_through_unet)
        if config.clip_normalise:
            guided = normalised(guided, schedule, scale)
        if config.clip_gradient_max is not None:
            guided = limited(guided, schedule, config.clip_gradient_max)
        guided = held(guided, schedule, not at_noise and not config.clip_through_unet)
        if config.threshold != "none":
            guided = gradient_threshold(guided, schedule)
        return only_at(guided, denoise, guided_timesteps(grid, config))


def guided_timesteps(grid: Tensor, config: SamplingConfig) -> set[int]:
    """Those of the ascending `grid` that lie in the interval, every k-th from the noisiest."""
    low, high = config.clip_guidance_interval or (0, int(grid[-1]))
    inside = [timestep for timestep in reversed(grid.tolist()) if low <= timestep <= high]
    return set(inside[:: config.clip_guidance_every])


def seen(clip: ClipModel | NoisedClip, config: SamplingConfig) -> str:
    """What `clip` looks at, "x_t" or "x_0"."""
    if config.clip_guidance_at != "auto":
        return config.clip_guidance_at
    return "x_t" if isinstance(clip, NoisedClip) else "x_0"


def load_guide(name: str) -> ClipModel | NoisedClip:
    """From the folder of a noised CLIP, or what `ClipModel.load` takes.

    Raises:
        CheckpointError: no CLIP there. UsageError: as `ClipModel.load`.
    """
    if (Path(name) / noised.CONFIG).is_file():
        return NoisedClip.load(name)
    return ClipModel.load(name)


def check_guide(clip: ClipModel | NoisedClip, config: SamplingConfig, model: ModelConfig) -> None:
    """Raises UsageError if `clip` cannot guide the model so."""
    name, at_noise = config.clip_guide or "the model's own CLIP", seen(clip, config) == "x_t"
    if config.deep_cache_every > 1 and config.clip_through_unet and not at_noise:
        raise UsageError(
            f"deep_cache_every {config.deep_cache_every} with clip_guidance_at x_0: the gradient "
            "goes back through the whole U-Net, so nothing of it can be kept; leave out "
            "deep_cache_every, or use clip_through_unet false or a noised CLIP at x_t"
        )
    if config.clip_cutouts and at_noise:
        raise UsageError(
            "clip_cutouts with clip_guidance_at x_t: a resized cutout of x_t has another noise "
            "than its timestep says; leave out clip_cutouts, or use clip_guidance_at x_0"
        )
    if not isinstance(clip, NoisedClip):
        if at_noise:
            raise UsageError(
                f"{name} takes no timestep, so it cannot read x_t; use clip_guidance_at x_0, or "
                "the folder of a noised CLIP (textdiff finetune-clip)"
            )
        return
    if clip.image_size != model.unet.image_size:
        raise UsageError(
            f"{name} reads pictures of {clip.image_size} pixels a side, the U-Net draws "
            f"{model.unet.image_size}; fine-tune the CLIP on the pictures of this model"
        )
    ours, theirs = model.schedule.model_dump(), ScheduleConfig(**clip.schedule_config).model_dump()
    for key in ours if at_noise else ():
        if ours[key] != theirs[key]:
            raise UsageError(
                f"{name} learned noise with schedule.{key} {theirs[key]}, the U-Net with "
                f"{ours[key]}; fine-tune the CLIP with this model's schedule"
            )


def check_target(
    clip: ClipModel | NoisedClip | None,
    prompts: Sequence[str],
    config: SamplingConfig,
    image: Tensor | None,
) -> None:
    """Raises UsageError if what to guide towards is missing, said twice, too long for the text
    tower, or said without a CLIP that guides."""
    if clip is None:
        if image is not None or config.clip_prompts:
            name = "clip_prompts" if image is None else "clip_image"
            raise UsageError(f"{name} without guidance by CLIP; give a clip_guidance_scale above 0")
        return
    if image is not None:
        if config.clip_prompts:
            raise UsageError("clip_image and clip_prompts; CLIP guides towards one of them")
        return
    for prompt in dict.fromkeys(config.clip_prompts or prompts):
        if not prompt.strip():
            raise UsageError(
                "CLIP cannot guide towards an empty prompt; say where to in clip_prompts"
            )
        if clip.tokenize([prompt]).num_truncated:
            raise UsageError(
                f"prompt too long: '{prompt[:60]}...' does not fit the {clip.context_length} "
                "tokens of the CLIP that guides; shorten it, or give clip_prompts"
            )
