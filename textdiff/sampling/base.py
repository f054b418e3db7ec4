"""The one sampling loop: from x_T, pure noise, down the timestep grid to x_0.

    chain = schedule.respaced(grid)
    for i = N-1 .. 0:
        predictions = the two before, and denoise(x_t, grid[i])
        x_t = update(x_t, predictions, chain, i)

Samplers hold no state: those of several steps find the earlier predictions in `predictions`.
Steps are yielded, so that previews and progress bars need no callback. A step holds all that the
next one needs, so that some of its samples can go on without the others (`resume`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from textdiff.diffusion.schedule import NoiseSchedule
from textdiff.timesteps import shared_timestep
from textdiff.types import Denoise, Prediction, Samples


@runtime_checkable
class Sampler(Protocol):
    """An update rule: from x_t and the latest predictions to x at the next less noisy step.

    At index 0 it returns x_0_hat and draws no noise.
    """

    def update(
        self,
        x_t: Samples,
        predictions: Sequence[Prediction],
        chain: NoiseSchedule,
        index: int,
        noise: Callable[[], Tensor],
    ) -> Samples:
        """x at the next less noisy step of `chain`, the respaced schedule.

        predictions: the last three, fewer at first; [-1] is of x_t, [-2] of the step before it.
        index: position in the chain, N-1 first and 0 last, after which x is a sample of x_0.
        noise: draws z ~ N(0, I) of x_t's shape and type.
        """
        ...


@dataclass(frozen=True)
class Step:
    """One finished step.

    index: of the grid, N-1 first and 0 last.
    timestep: at which the denoiser was asked.
    x_t: the state after the step; after the last one the sample.
    prediction: what the denoiser predicted at the start of the step.
    earlier: its predictions of the steps before, the last two, fewer at first.
    """

    index: int
    timestep: int
    x_t: Samples
    prediction: Prediction
    earlier: tuple[Prediction, ...] = ()

    @property
    def x_0_hat(self) -> Samples:
        """What the sample would be by this prediction."""
        return self.prediction.x_0

    def __getitem__(self, rows: slice | list[int]) -> Step:
        """The same step of these samples alone, in this order."""
        return replace(
            self,
            x_t=self.x_t[rows],
            prediction=self.prediction[rows],
            earlier=tuple(each[rows] for each in self.earlier),
        )


def sample(
    denoise: Denoise,
    schedule: NoiseSchedule,
    sampler: Sampler,
    grid: Tensor,
    x_T: Samples,
    noise: Callable[[], Tensor],
) -> Iterator[Step]:
    """Yields a Step per entry of the ascending `grid` (N,); the sample is the last one's x_t.

    x_T: (B, ...) standard normal; or, to start from a picture, one noised to grid[-1].
    noise: draws z ~ N(0, I) of x_T's shape; cast to its type.
    """
    chain = schedule.respaced(grid)
    return _descend(denoise, sampler, chain, chain.num_timesteps, x_T, (), noise)


def resume(
    denoise: Denoise,
    schedule: NoiseSchedule,
    sampler: Sampler,
    grid: Tensor,
    step: Step,
    noise: Callable[[], Tensor],
) -> Iterator[Step]:
    """Yields the Steps that follow `step` of a `sample` on the same `grid`, or of some of its rows:
    `denoise` and `noise` are of those that `step` holds."""
    before = (*step.earlier, step.prediction)
    return _descend(denoise, sampler, schedule.respaced(grid), step.index, step.x_t, before, noise)


def _descend(
    denoise: Denoise,
    sampler: Sampler,
    chain: NoiseSchedule,
    start: int,
    x_t: Samples,
    predictions: tuple[Prediction, ...],
    noise: Callable[[], Tensor],
) -> Iterator[Step]:
    """From index `start` - 1 to 0. predictions: those before, the last one last."""
    dtype = x_t.dtype
    for index in reversed(range(start)):
        timestep = int(chain.timesteps[index])
        with torch.no_grad():
            prediction = denoise(x_t, shared_timestep(timestep, len(x_t), x_t.device))
            earlier = predictions[-2:]
            predictions = (*earlier, prediction)
            x_t = sampler.update(x_t, predictions, chain, index, lambda: noise().to(dtype))
        yield Step(index, timestep, x_t, prediction, earlier)
