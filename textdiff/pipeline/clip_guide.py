"""A CLIP that guides by its gradient, as `TextToImage` uses it.

prompts, or a picture ── CLIP ──► target (B, E) ── similarity ──► reward
denoise ── at_x_t or at_x_0 ── normalised, limited, held ── in range ── only at some steps ──►
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from textdiff.clip import noised
from textdiff.clip.model import ClipModel
from textdiff.clip.noised import NoisedClip
from textdiff.cuda_graphs import Graphs
from textdiff.diffusion.config import ScheduleConfig
from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.errors import UsageError
from textdiff.guidance.clip_gradient import at_x_0, following, reward_gradient
from textdiff.guidance.cutouts import cutout_encoder, cutout_streams
from textdiff.guidance.interval import only_at
from textdiff.guidance.shift import held, limited, normalised, within_deviation
from textdiff.guidance.similarity import (
    Encode,
    Reward,
    image_encoder,
    similarity,
    unit_text_features,
)
from textdiff.latent_space import LatentSpace
from textdiff.pictures import PictureCodec, to_float
from textdiff.pipeline.config import ModelConfig, SamplingConfig
from textdiff.pipeline.plan import threshold_of
from textdiff.pipeline.sections import ClipGuidanceConfig
from textdiff.randomness import Stream
from textdiff.sampling.threshold import gradient_threshold
from textdiff.timesteps import known_timestep, mark_shared
from textdiff.types import Denoise, Features, Samples, Timesteps


@dataclass(frozen=True)
class ClipGuide:
    """A frozen CLIP, what it guides B pictures towards, and how.

    target: (B or 1, E), sums of unit features.
    codec: of what is diffused.
    thresholded: x_0_hat is kept in [-1, 1]; then the gradient may not drive it out either.
    streams: of each picture, what its cutouts are drawn from; none without cutouts.
    """

    clip: ClipModel | NoisedClip
    target: Features
    config: ClipGuidanceConfig
    codec: PictureCodec
    thresholded: bool = False
    streams: Sequence[Stream] = ()

    @classmethod
    @torch.no_grad()
    def towards(
        cls,
        clip: ClipModel | NoisedClip,
        prompts: Sequence[str],
        config: SamplingConfig,
        codec: PictureCodec,
        picture: Tensor | None = None,
        seeds: Sequence[tuple[int | str, ...]] = (),
    ) -> ClipGuide:
        """Each picture towards its prompt; or all of them towards `config.clip_guidance.prompts`,
        or towards `picture` (3, S, S) uint8.

        seeds: a tuple of parts per picture, of its cutouts.
        """
        guidance = config.clip_guidance
        thresholded = threshold_of(config, codec.bounded) != "none"
        if picture is not None:
            x_0 = codec.encode(picture[None]) if of_latents(clip) else to_float(picture[None])
            x_0 = x_0.to(clip.logit_scale.device)
            timestep = torch.zeros(1, dtype=torch.int64, device=x_0.device)
            target = image_encoder(clip)(x_0, timestep)
        elif guidance.prompts:
            features = unit_text_features(clip, guidance.prompts)
            weights = guidance.weights or [1.0] * len(features)
            target = features.new_tensor([weights]) @ features
        else:
            target = unit_text_features(clip, prompts)
        streams = cutout_streams(seeds) if guidance.cutouts else ()
        return cls(clip, target, guidance, codec, thresholded, streams)

    def __getitem__(self, rows: list[int]) -> ClipGuide:
        """Of these pictures alone; their cutouts go on from where they are."""
        streams = [self.streams[row] for row in rows] if self.streams else ()
        target = self.target if len(self.target) == 1 else self.target[rows]
        return replace(self, target=target, streams=streams)

    def guided(
        self,
        denoise: Denoise,
        schedule: NoiseSchedule,
        grid: Tensor,
        graphs: Graphs | None = None,
    ) -> Denoise:
        """`denoise` with a gradient at those steps of the ascending `grid` that are to be guided.

        graphs: play the gradient at x_t back as one.
        """
        config, encode = self.config, image_encoder(self.clip)
        if config.cutouts:
            encode = cutout_encoder(encode, config.cutouts, self.streams)
        if not of_latents(self.clip):
            encode = through_codec(encode, self.codec)
        reward = similarity(encode, self.target, self.clip.logit_scale)
        on_x_t = guide_input(self.clip, config) == "x_t"
        if on_x_t:
            guided = following(denoise, self._gradient_at_x_t(reward, graphs), config.scale)
        else:
            guided = at_x_0(denoise, schedule, reward, config.scale, config.through_unet)
        if config.normalise:
            guided = normalised(guided, schedule, config.scale)
        if config.gradient_max is not None:
            guided = limited(guided, schedule, config.gradient_max)
        if not self.codec.bounded:
            guided = within_deviation(guided, schedule)
        guided = held(guided, schedule, not on_x_t and not config.through_unet)
        if self.thresholded:
            guided = gradient_threshold(guided, schedule)
        return only_at(guided, denoise, guided_timesteps(grid, config))

    def _gradient_at_x_t(
        self, reward: Reward, graphs: Graphs | None
    ) -> Callable[[Samples, Timesteps], Samples]:
        clip, encode = self.clip, image_encoder(self.clip)
        below = clip.config.clean_below if isinstance(clip, NoisedClip) else 0

        def gradient(x_t: Samples, timestep: Timesteps) -> Samples:
            known = known_timestep(timestep)
            if graphs is None or known is None:
                return reward_gradient(reward, x_t, timestep)

            def of_target(x_t: Tensor, timestep: Tensor, target: Tensor) -> Tensor:
                same = similarity(encode, target, clip.logit_scale)
                return reward_gradient(same, x_t, mark_shared(timestep, known))

            key = clip, known < below  # which of its towers
            return graphs(key, of_target, x_t, timestep, self.target)

        return gradient


def of_latents(clip: ClipModel | NoisedClip) -> bool:
    """Whether it reads latents itself; others read pictures that a decoder makes of them."""
    return isinstance(clip, NoisedClip) and clip.latents is not None


def through_codec(encode: Encode, codec: PictureCodec) -> Encode:
    """`encode`, which reads pictures, of what is diffused; gradients flow through a decoder."""
    return lambda x, timestep: encode(codec.images(x), timestep)


def guided_timesteps(grid: Tensor, config: ClipGuidanceConfig) -> set[int]:
    """Those of the ascending `grid` that lie in the interval, every k-th from the noisiest."""
    low, high = config.interval or (0, int(grid[-1]))
    inside = [timestep for timestep in reversed(grid.tolist()) if low <= timestep <= high]
    return set(inside[:: config.every])


def guide_input(clip: ClipModel | NoisedClip, config: ClipGuidanceConfig) -> str:
    """What `clip` reads, "x_t" or "x_0"."""
    if config.at != "auto":
        return config.at
    return "x_t" if isinstance(clip, NoisedClip) else "x_0"


def load_guide(name: str) -> ClipModel | NoisedClip:
    """From the folder of a noised CLIP, or what `ClipModel.load` takes.

    Raises:
        CheckpointError: no CLIP there. UsageError: as `ClipModel.load`.
    """
    if (Path(name) / noised.CONFIG).is_file():
        return NoisedClip.load(name)
    return ClipModel.load(name)


def check_guide(
    clip: ClipModel | NoisedClip,
    config: SamplingConfig,
    model: ModelConfig,
    space: LatentSpace | None,
) -> None:
    """Raises UsageError if `clip` cannot guide the model so. space: that it draws in; None: it
    draws pixels."""
    guidance = config.clip_guidance
    name, on_x_t = guidance.guide or "the model's own CLIP", guide_input(clip, guidance) == "x_t"
    if config.deep_cache_every > 1 and guidance.through_unet and not on_x_t:
        raise UsageError(
            f"deep_cache_every {config.deep_cache_every} with clip_guidance_at x_0: the gradient "
            "goes back through the whole U-Net, so nothing of it can be kept; leave out "
            "deep_cache_every, or use clip_through_unet false or a noised CLIP at x_t"
        )
    if guidance.cutouts and on_x_t:
        raise UsageError(
            "clip_cutouts with clip_guidance_at x_t: a resized cutout of x_t has another noise "
            "than its timestep says; leave out clip_cutouts, or use clip_guidance_at x_0"
        )
    if guidance.cutouts and of_latents(clip):
        raise UsageError(
            f"clip_cutouts with {name}, which reads latents: these cannot be cut and resized as "
            "pictures can; leave out clip_cutouts"
        )
    if not isinstance(clip, NoisedClip):
        if on_x_t:
            raise UsageError(
                f"{name} takes no timestep, so it cannot read x_t; use clip_guidance_at x_0, or "
                "the folder of a noised CLIP (textdiff finetune-clip)"
            )
        return
    check_reads(name, clip, model, space, on_x_t)


def check_reads(
    name: str, clip: NoisedClip, model: ModelConfig, space: LatentSpace | None, on_x_t: bool
) -> None:
    """Raises UsageError if `clip` cannot read the pictures of the model, or with `on_x_t` those
    under way."""
    check_space(name, clip, space, on_x_t)
    side = model.image_size if clip.latents is None else model.unet.image_size
    if clip.image_size != side:
        read = f"pictures of {clip.image_size} pixels a side"
        if clip.latents is not None:
            read = f"latents of {clip.image_size} places a side"
        raise UsageError(
            f"{name} reads {read}, the U-Net draws {side}; fine-tune the CLIP on the pictures of "
            "this model"
        )
    ours, theirs = model.schedule.model_dump(), ScheduleConfig(**clip.schedule_config).model_dump()
    for key in ours if on_x_t else ():
        if ours[key] != theirs[key]:
            raise UsageError(
                f"{name} learned noise with schedule.{key} {theirs[key]}, the U-Net with "
                f"{ours[key]}; fine-tune the CLIP with this model's schedule"
            )


def check_space(name: str, clip: NoisedClip, space: LatentSpace | None, on_x_t: bool) -> None:
    """Raises UsageError if `clip` reads other latents than the U-Net draws, or, of x_t, pixels."""
    if clip.latents == space or (clip.latents is None and not on_x_t):
        return
    if clip.latents is None:
        raise UsageError(
            f"{name} reads noised pixels, the U-Net draws latents of a VAE; fine-tune a CLIP on "
            "these (textdiff finetune-clip --codec), or use clip_guidance_at x_0"
        )
    if space is None:
        raise UsageError(f"{name} reads latents of a VAE, the U-Net draws pixels; take another")
    ours, theirs = space.vae, clip.latents.vae
    how = f"of the VAE {theirs}, the U-Net draws those of {ours}"
    if ours == theirs:
        how = "scaled by other statistics than those of the U-Net"
    raise UsageError(f"{name} reads latents {how}; fine-tune the CLIP on this model")


def check_target(
    clip: ClipModel | NoisedClip | None,
    prompts: Sequence[str],
    clip_prompts: Sequence[str],
    clip_image: Tensor | None,
) -> Sequence[str]:
    """The prompts to guide towards.

    Raises:
        UsageError: what to guide towards is missing, given twice, or without a CLIP that guides.
    """
    if clip is None:
        if clip_image is not None or clip_prompts:
            name = "clip_prompts" if clip_image is None else "clip_image"
            raise UsageError(f"{name} without guidance by CLIP; give a clip_guidance_scale above 0")
        return ()
    if clip_image is not None:
        if clip_prompts:
            raise UsageError("clip_image and clip_prompts; CLIP guides towards one of them")
        return ()
    for prompt in clip_prompts or prompts:
        if not prompt.strip():
            raise UsageError(
                "CLIP cannot guide towards an empty prompt; say where to in clip_prompts"
            )
    return clip_prompts or prompts
