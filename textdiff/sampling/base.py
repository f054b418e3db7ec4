"""The one sampling loop: from x_T ~ N(0, I) down the timestep grid to x_0.

    chain = schedule.respaced(grid)
    for i = N-1 .. 0:
        predictions = the two before, and denoise(x_t, grid[i])
        x_t = update(x_t, predictions, chain, i)

Samplers hold no state: those of several steps find the earlier predictions in `predictions`.
Steps are yielded, so that previews and progress bars need no callback.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
        predictions: Sequence[Prediction],
        chain: NoiseSchedule,
        index: int,
        noise: Callable[[], Tensor],
    ) -> Images:
        """x at the next less noisy step of `chain`, the respaced schedule.

        predictions: the last three, fewer at first; [-1] is of x_t, [-2] of the step before it.
        index: position in the chain, N-1 first and 0 last; `chain.alphas_cumprod_prev[index]` is
            the ac of the next step, 1 after the last, where x is x_0_hat.
        noise: draws z ~ N(0, I) of x_t's shape and type; not called on the last step.
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

    x_T: (B, C, H, W) standard normal; or, to start from a picture, one noised to grid[-1].
    noise: draws z ~ N(0, I) of x_T's shape; cast to its type.
    """
    chain = schedule.respaced(grid)
    x, predictions = x_T, []
    for index in reversed(range(chain.num_timesteps)):
        timestep = int(chain.timesteps[index])
        prediction = denoise(x, torch.full((len(x),), timestep, device=x.device))
        predictions = [*predictions[-2:], prediction]
        x = sampler.update(x, predictions, chain, index, lambda: noise().to(x_T.dtype))
        yield Step(index, timestep, x, prediction)
