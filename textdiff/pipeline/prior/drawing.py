"""How each kind of prior draws embeddings for captions that are bound to it.

    diffusion        x_T ~ N(0, I) ── sample(denoise, sampler, grid), as pictures ──► x_0 ──► z_i
    autoregressive   uniforms ── dot of the upper half, then code after code ──► codes ──► z_i

Every random number of a row is from its own stream, so rows do not depend on each other.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.models import autoregressive
from textdiff.models.autoregressive_prior import AutoregressivePrior
from textdiff.models.causal import Seen
from textdiff.models.diffusion_prior import DiffusionPrior
from textdiff.pipeline.gaussian import GaussianDiffusion
from textdiff.pipeline.prior.config import PriorSampling
from textdiff.randomness import Stream
from textdiff.sampling.base import sample
from textdiff.sampling.noise import ImageNoise
from textdiff.types import Features, Timesteps

BELOW_ONE = 1 - 2**-24  # the largest float32 that is
Seeds = Sequence[tuple[int | str, ...]]  # per row, what its random draws are a function of


def seeds_of(seed: int, first: int, count: int, candidates: int) -> list[tuple[int | str, ...]]:
    """Of embeddings `first`, `first` + 1, ... of a seed, the candidates of each one in a row. They
    have nothing in common with those of pictures of that seed."""
    return [("prior", seed, first + k, j) for k in range(count) for j in range(candidates)]


@dataclass(frozen=True)
class BoundPrior:
    """A diffusion prior with B captions bound, and B empty ones: a `pipeline.network.
    GuidedNetwork`."""

    network: DiffusionPrior
    captions: Seen
    empty: Seen

    def __call__(self, x_t: Features, timestep: Timesteps) -> Features:
        return self.network(x_t, timestep, self.captions)

    def pair(self, x_t: Features, timestep: Timesteps) -> tuple[Features, Features]:
        """(with the captions, with the empty ones)."""
        output = self.network(x_t.repeat(2, 1), timestep.repeat(2), self._both)
        conditional, unconditional = output.chunk(2)
        return conditional, unconditional

    @cached_property
    def _both(self) -> Seen:
        return Seen.cat([self.captions, self.empty])


def process_of(schedule: NoiseSchedule) -> GaussianDiffusion:
    """That of a diffusion prior, which says x_0."""
    return GaussianDiffusion(schedule, "x_0", learned_variance=False)


def draw_by_diffusion(
    network: DiffusionPrior,
    schedule: NoiseSchedule,
    captions: Seen,
    empty: Seen,
    seeds: Seeds,
    config: PriorSampling,
) -> Features:
    """(B, E) embeddings, not of unit length.

    Raises:
        UsageError: steps that the schedule does not have.
    """
    process, how = process_of(schedule), config.of_diffusion()
    grid = process.plan_grid(how)
    denoise = process.guided(BoundPrior(network, captions, empty), how)
    noise = ImageNoise(seeds, (network.config.embed_dim,), network.clip_std.device)
    steps = sample(denoise, schedule, process.sampler(how), grid, noise(), noise)
    (last,) = deque(steps, maxlen=1)
    return network.unscaled(last.x_t)


def draw_codes(
    network: AutoregressivePrior,
    captions: Seen,
    empty: Seen,
    seeds: Seeds,
    config: PriorSampling,
) -> Features:
    """(B, E) embeddings, not of unit length."""
    count = network.config.num_components
    device = network.dot_edges.device
    streams = [Stream("sampling", *parts) for parts in seeds]
    uniforms = torch.stack([stream.uniform(1 + count) for stream in streams])
    uniforms = uniforms.float().clamp(max=BELOW_ONE).to(device)  # not every device has float64
    dot_logits, begun = network.begin(captions)
    next_logits = network.next_logits(begun, upper_half(dot_logits, uniforms[:, 0]))
    if config.guidance_scale != 1:
        none = torch.full((len(seeds),), network.no_caption, device=device)
        unconditional = network.next_logits(network.begin(empty)[1], none)
        next_logits = guided_logits(next_logits, unconditional, config.guidance_scale)
    (codes,) = deque(autoregressive.sample(next_logits, uniforms[:, 1:]), maxlen=1)
    return network.codes.decode(codes)


def upper_half(dot_logits: Tensor, uniforms: Tensor) -> Tensor:
    """A bucket from the upper half of each row's distribution: logits (B, num_dots), uniforms (B,)
    in [0, 1) -> (B,) int64."""
    upper = ((1 + uniforms) / 2).clamp(max=BELOW_ONE)
    return autoregressive.inverse_cdf(dot_logits.float().softmax(-1), upper)


def guided_logits(
    conditional: Callable[[Tensor], Tensor],
    unconditional: Callable[[Tensor], Tensor],
    guidance_scale: float,
) -> Callable[[Tensor], Tensor]:
    """Of the next code: unconditional + scale (conditional - unconditional)."""

    def next_logits(codes: Tensor) -> Tensor:
        cond, uncond = conditional(codes), unconditional(codes)
        return uncond + guidance_scale * (cond - uncond)

    return next_logits
