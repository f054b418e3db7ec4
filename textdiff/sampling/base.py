"""The one sampling loop: from x_T, pure noise, down the timestep grid to x_0.

    chain = schedule.respaced(grid)
    for i = N-1 .. 0:
        predictions = the two before, and denoise(x_t, grid[i])
        x_t = update(x_t, predictions, chain, i)

Samplers hold no state: those of several steps find the earlier predictions in `predictions`.
Steps are yielded, so that previews and progress bars need no callback.

The loop serves every kind of diffusion. Gaussian samplers end on x_0_hat and draw no noise on the
last step; binary ones draw their coins on the last step too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from textdiff.types import AnyChain, AnyPrediction, Images, Timesteps

# the same two as type checkers want them in a Protocol
Said = TypeVar("Said", contravariant=True)
Along = TypeVar("Along", contravariant=True)


class Sampler(Protocol[Said, Along]):
    """An update rule."""

    def update(
        self,
        x_t: Images,
        predictions: Sequence[Said],
        chain: Along,
        index: int,
        noise: Callable[[], Tensor],
    ) -> Images:
        """x at the next less noisy step of `chain`, the respaced schedule.

        predictions: the last three, fewer at first; [-1] is of x_t, [-2] of the step before it.
        index: position in the chain, N-1 first and 0 last, after which x is a sample of x_0.
        noise: draws z ~ N(0, I) of x_t's shape and type.
        """
        ...


@dataclass(frozen=True)
class Step(Generic[AnyPrediction]):
    """One finished step: x is the state after it, prediction what the denoiser said before it."""

    index: int
    timestep: int
    x: Images
    prediction: AnyPrediction


@torch.no_grad()
def sample(
    denoise: Callable[[Images, Timesteps], AnyPrediction],
    schedule: AnyChain,
    sampler: Sampler[AnyPrediction, AnyChain],
    grid: Tensor,
    x_T: Images,
    noise: Callable[[], Tensor],
) -> Iterator[Step[AnyPrediction]]:
    """Yields a Step per entry of `grid` (N,), ascending timesteps; the last step's x is the sample.

    x_T: (B, C, H, W) standard normal, or fair coins; or, to start from a picture, one noised to
        grid[-1].
    noise: draws z ~ N(0, I) of x_T's shape; cast to its type.
    """
    chain = schedule.respaced(grid)
    x = x_T
    predictions: list[AnyPrediction] = []
    for index in reversed(range(chain.num_timesteps)):
        timestep = int(chain.timesteps[index])
        prediction = denoise(x, torch.full((len(x),), timestep, device=x.device))
        predictions = [*predictions[-2:], prediction]
        x = sampler.update(x, predictions, chain, index, lambda: noise().to(x_T.dtype))
        yield Step(index, timestep, x, prediction)
