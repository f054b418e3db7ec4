"""The one sampling loop: from x_T ~ N(0, I) down the timestep grid to x_0.

    chain = schedule.respaced(grid)
    for i = N-1 .. 0:
        prediction = denoise(x_t, grid[i])
        x_t = update(x_t, prediction, chain, i)

Steps are yielded, so that previews and progress bars need no callback.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.types import Denoise, Images, Prediction


class Sampler(Protocol):
    """An update rule."""

    def update(
        self,
        x_t: Images,
        prediction: Prediction,
        chain: NoiseSchedule,
        index: int,
        noise: Callable[[], Tensor],
    ) -> Images:
        """x at the next less noisy step of `chain`, the respaced schedule.

        index: position in the chain, N-1 first and 0 last; `chain.alphas_cumprod_prev[index]` is
            the ac of the next step, 1 after the last.
        noise: draws z ~ N(0, I) of x_t's shape; not called on the last step.
        """
        ...


@dataclass(frozen=True)
class Step:
    """One finished step: x is the state after it, prediction what the denoiser said before it."""

    index: int
    timestep: int
    x: Images
    prediction: Prediction


@torch.no_grad()
def sample(
    denoise: Denoise,
    schedule: NoiseSchedule,
    sampler: Sampler,
    grid: Tensor,
    x_T: Images,
    noise: Callable[[], Tensor],
) -> Iterator[Step]:
    """Yields a Step per entry of `grid` (N,), ascending timesteps; the last step's x is x_0_hat.

    x_T: (B, C, H, W) standard normal. See `Sampler.update` for `noise`.
    """
    chain = schedule.respaced(grid)
    x = x_T
    for index in reversed(range(chain.num_timesteps)):
        timestep = int(chain.timesteps[index])
        prediction = denoise(x, torch.full((len(x),), timestep, device=x.device))
        x = sampler.update(x, prediction, chain, index, noise)
        yield Step(index, timestep, x, prediction)
