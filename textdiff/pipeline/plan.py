"""What will be drawn, checked once and for all; and the steps in which it is drawn.

prompts, SamplingConfig ── TextToImage.plan ──► DrawPlan ── TextToImage.steps ──► DrawStep ...
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from textdiff.clip.model import ClipModel
from textdiff.clip.noised import NoisedClip
from textdiff.data.prompts import check_text
from textdiff.errors import UsageError
from textdiff.models.config import UNetConfig
from textdiff.pipeline.config import SamplingConfig
from textdiff.pipeline.init import Init
from textdiff.pipeline.sections import SelectionConfig
from textdiff.sampling.grid import Levels, timestep_grid
from textdiff.sampling.tournament import Round, plan_rounds
from textdiff.types import Features, Pictures, Samples


@dataclass(frozen=True, kw_only=True)
class DrawPlan:
    """One picture per prompt, in batches; picture k has the noise of (seed, first + k).

    grid: the ascending timesteps (N,) that each batch visits.
    bf16: the U-Net is rounded to bf16.
    guide: the CLIP whose gradient guides; None: none does.
    clip_image: (3, S, S) uint8, towards which it guides in place of the prompts.
    init: what the pictures start from; None: noise.
    image: (n, E) CLIP embeddings z_i that an unCLIP decoder draws from; None: it is none.
    judge: the CLIP that chooses among several candidates for a picture; None: there is one of each.
    rounds: when it chooses, and how many go on.
    x_T: (C, H, W) that all pictures start from; None: each from its own noise.
    prior_weights: hash of the prior that drew `image`; None: none did.
    """

    prompts: tuple[str, ...]
    config: SamplingConfig
    grid: Tensor
    bf16: bool = False
    guide: ClipModel | NoisedClip | None = None
    clip_image: Pictures | None = None
    init: Init | None = None
    first: int = 0
    image: Features | None = None
    judge: ClipModel | NoisedClip | None = None
    rounds: tuple[Round, ...] = ()
    x_T: Tensor | None = None  # noqa: N815
    prior_weights: str | None = None

    @property
    def batches(self) -> list[slice]:
        """Rows of the prompts that are drawn at once."""
        size = self.config.batch_size
        starts = range(0, len(self.prompts), size)
        return [slice(start, min(start + size, len(self.prompts))) for start in starts]

    @property
    def num_steps(self) -> int:
        """Of the whole job."""
        return len(self.batches) * len(self.grid)

    def seeds(self, rows: slice) -> list[tuple[int, int]]:
        """What the random draws of each of these pictures are a function of."""
        return [(self.config.seed, self.first + k) for k in range(rows.start, rows.stop)]

    def candidate_seeds(self, rows: slice) -> list[tuple[int | str, ...]]:
        """The same of all candidates for these pictures, the first of each picture first: that has
        the picture's own draws, and is what is drawn without a choice."""
        own = self.seeds(rows)
        others = range(1, self.config.selection.best_of)
        return [*own, *((*seed, "candidate", j) for j in others for seed in own)]


@dataclass(frozen=True, kw_only=True)
class DrawStep:
    """One finished step of a batch.

    rows: of the plan's prompts that the batch draws.
    index: of the grid, N-1 first; 0 is the batch's last, after which x_t is x_0.
    timestep: that the denoiser was asked at.
    done: steps done of the plan's `num_steps`, this one included.
    x_t: (b, C, H, W), the state after the step; of several candidates that of the best so far.
    x_0_hat: (b, C, H, W), what the denoiser takes the pictures to be; a codec's `preview` shows it.
    """

    rows: slice
    index: int
    timestep: int
    done: int
    x_t: Samples
    x_0_hat: Samples


def plan_grid(schedule: Levels, config: SamplingConfig, init: Init | None) -> Tensor:
    """The ascending timesteps (N,) that these settings visit.

    Raises:
        UsageError: ones that the schedule does not have, or in another order; a guidance interval
            that meets none of its timesteps.
    """
    T = schedule.num_timesteps
    if config.guidance_interval and config.guidance_interval[0] >= T:
        low, high = config.guidance_interval
        raise UsageError(
            f"guidance_interval {low} {high} meets none of the schedule's timesteps 0..{T - 1}"
        )
    if config.timesteps is not None:
        grid = listed_grid(config.timesteps, T)
    else:
        try:
            grid = timestep_grid(schedule, config.num_steps, config.spacing)
        except ValueError as error:
            raise UsageError(str(error)) from None
    if init is None:
        return grid
    return init.kept_steps(grid, T, listed=config.timesteps is not None)


def threshold_of(config: SamplingConfig, bounded: bool) -> str:
    """ "none", "static" or "dynamic". bounded: whether x_0 lies in [-1, 1]."""
    if config.threshold != "auto":
        return config.threshold
    return "static" if bounded else "none"


def rounds_of(selection: SelectionConfig, num_steps: int) -> tuple[Round, ...]:
    """When candidates are chosen; none where there is one of each picture.

    Raises:
        UsageError: more halvings than the steps have room for.
    """
    if selection.best_of == 1:
        return ()
    try:
        return tuple(plan_rounds(selection.best_of, selection.keep_after, num_steps))
    except ValueError as error:
        raise UsageError(str(error)) from None


def listed_grid(timesteps: Sequence[int], num_timesteps: int) -> Tensor:
    """Timesteps listed noisiest first as an ascending grid (N,).

    Raises:
        UsageError: names the first entry that is outside 0..T-1 or does not descend.
    """
    for k, timestep in enumerate(timesteps):
        if not 0 <= timestep < num_timesteps:
            raise UsageError(
                f"timesteps[{k}] = {timestep} is none of the schedule's 0..{num_timesteps - 1}"
            )
        if k and timestep >= timesteps[k - 1]:
            raise UsageError(
                f"timesteps[{k}] = {timestep} is not below timesteps[{k - 1}] = "
                f"{timesteps[k - 1]}; list each once, the noisiest first"
            )
    return torch.tensor(timesteps).flip(0)


def check_prompts(
    prompts: Sequence[str], clip: ClipModel | NoisedClip, *, strict: bool, reader: str
) -> str | None:
    """What to warn of where `clip` sees only a part of some prompts; it cuts them as in training.

    reader: what it is called: the U-Net's text tower, or the CLIP that guides.

    Raises:
        UsageError: a prompt that is no text, or with `strict` one that is too long.
    """
    distinct = list(dict.fromkeys(prompts))
    for prompt in distinct:
        check_text(prompt)
    long = [prompt for prompt in distinct if clip.tokenize([prompt]).num_truncated]
    if not long:
        return None
    length = clip.context_length
    if strict:
        raise UsageError(
            f"prompt too long: '{long[0][:60]}...' does not fit the {length} tokens of {reader}; "
            "shorten it, or leave out strict to have it cut"
        )
    return (
        f"{len(long)} of {len(distinct)} prompts cut to the {length} tokens of {reader}, the first "
        f"'{long[0][:60]}...'; strict refuses them"
    )


def check_image(image: Features | None, num_prompts: int, unet: UNetConfig) -> None:
    """Raises UsageError if these are no embeddings (n, E) for so many pictures of this U-Net."""
    if unet.image_dim is None:
        if image is not None:
            raise UsageError(
                "this model draws from text alone and takes no embedding of a picture; give a "
                "decoder (train --embeddings)"
            )
        return
    if image is None:
        raise UsageError(
            "this model is an unCLIP decoder, which draws from the embedding of a picture; give a "
            "prior, or a picture to vary"
        )
    if tuple(image.shape) != (num_prompts, unet.image_dim):
        raise UsageError(
            f"embeddings {tuple(image.shape)} for {num_prompts} pictures of a decoder of width "
            f"{unet.image_dim}; give ({num_prompts}, {unet.image_dim})"
        )
    if not torch.isfinite(image).all() or not image.norm(dim=1).gt(0).all():
        raise UsageError("embeddings hold NaN, infinity or a row of zeros")


def check_settings(config: SamplingConfig, levels: int, init: Init | None) -> None:
    """Raises UsageError for settings that contradict each other or a U-Net of so many levels."""
    if config.strength is not None and init is None:
        raise UsageError("strength without an init image; give the picture to start from")
    if not config.text_to_unet and config.guidance_scale != 1:
        raise UsageError(
            f"guidance_scale {config.guidance_scale:g} with text_to_unet false: what would be "
            "guided and what it is pushed away from are the same; give guidance_scale 1"
        )
    if config.deep_cache_every > 1 and levels == 1:
        raise UsageError(
            f"deep_cache_every {config.deep_cache_every}: this U-Net has one level, so there "
            "is nothing below it to keep; leave out deep_cache_every"
        )
    if config.deep_cache_every > 1 and config.selection.best_of > 1:
        raise UsageError(
            f"deep_cache_every {config.deep_cache_every} with best_of "
            f"{config.selection.best_of}: what is kept is one candidate's, and the next would get "
            "it; leave one of them out"
        )
