"""What `TextToImage` asks of a kind of diffusion: a grid, steps, bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

from textdiff.binary.prediction import BinaryDenoise
from textdiff.errors import UsageError
from textdiff.guidance import interval
from textdiff.pipeline.clip_guide import ClipGuide
from textdiff.pipeline.config import SamplingConfig
from textdiff.pipeline.init import Init
from textdiff.sampling.base import Step
from textdiff.sampling.grid import timestep_grid
from textdiff.types import AnyPrediction, Chain, Denoise, Images, Timesteps

Network = Callable[[Images, Timesteps], Tensor]  # a U-Net with its conditioning bound


class Process(Protocol):
    """A kind of diffusion with its schedule and the meaning of its network's output."""

    def denoiser(self, network: Network) -> Denoise | BinaryDenoise:
        """What the network's output stands for."""
        ...

    def check(self, config: SamplingConfig, init: Init | None = None) -> Tensor:
        """The ascending timesteps (N,) that will be visited.

        Raises:
            UsageError: settings that this kind, schedule or network cannot follow.
        """
        ...

    def steps(
        self,
        prompts: Network,
        both: Network,
        config: SamplingConfig,
        init: Init | None,
        seeds: Sequence[tuple],
        device: torch.device,
        guide: ClipGuide | None = None,
    ) -> Iterator[Step]:
        """Draws one picture per entry of `seeds`, a tuple of parts each (`ImageNoise`).

        Args:
            prompts: the network with the B prompts bound.
            both: the network with the B prompts, then their B negatives; it takes pictures whose
                second half equals the first.
            guide: a CLIP whose gradient guides besides.
        """
        ...

    def to_uint8(self, x: Images) -> Tensor:
        """Finished pictures (B, C, H, W) as bytes 0..255 on the CPU."""
        ...


def guided_as(
    config: SamplingConfig,
    plain: Callable[[Images, Timesteps], AnyPrediction],
    guided: Callable[[Images, Timesteps], AnyPrediction],
) -> Callable[[Images, Timesteps], AnyPrediction]:
    """`guided` at the timesteps where `config` guides, `plain` at the others."""
    if config.guidance_scale == 1.0:
        return plain
    if config.guidance_interval is None:
        return guided
    return interval(guided, plain, *config.guidance_interval)


def visited(schedule: Chain, config: SamplingConfig, init: Init | None = None) -> Tensor:
    """The ascending timesteps (N,) that these settings visit.

    Raises:
        UsageError: ones that the schedule does not have, or in another order.
    """
    if config.guidance_interval and config.guidance_interval[0] >= schedule.num_timesteps:
        low, high = config.guidance_interval
        raise UsageError(
            f"guidance_interval {low} {high} meets none of the schedule's timesteps "
            f"0..{schedule.num_timesteps - 1}"
        )
    if config.timesteps is not None:
        grid = listed_grid(config.timesteps, schedule.num_timesteps)
    else:
        try:
            grid = timestep_grid(schedule, config.num_steps, config.spacing)
        except ValueError as error:
            raise UsageError(str(error)) from None
    return grid if init is None else init.kept_steps(grid, schedule.num_timesteps)


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
