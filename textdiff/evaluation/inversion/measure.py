"""Pictures to noise and back by DDIM.

picture ── invert, N steps ──► noise ── DDIM, the same N steps ──► picture again
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn, cast

import torch
from torch import Tensor

from textdiff.diffusion import NoiseSchedule
from textdiff.errors import UsageError
from textdiff.evaluation.inversion.result import InversionResult, RoundTrip
from textdiff.evaluation.per_item import values_by_item
from textdiff.evaluation.pictures import PromptedPictures
from textdiff.metrics.bootstrap import estimate_mean
from textdiff.pictures import to_levels
from textdiff.pipeline import TextToImage
from textdiff.sampling import DDIM, invert, sample, timestep_grid
from textdiff.sampling.base import Step
from textdiff.sampling.config import Spacing
from textdiff.sampling.grid import Levels
from textdiff.types import Denoise, Images, PerSample, Pictures


@dataclass(frozen=True)
class Inversion:
    """Pictures that went to noise and back.

    noise: (n, C, H, W) float32 on the CPU, of what is diffused.
    again: (n, 3, S, S) float32 on the CPU, the pictures as drawn from the noise, not clipped; a VAE
        adds its own error to them.
    """

    num_steps: int
    noise: Images
    again: Images


def grids_of(schedule: Levels, counts: Sequence[int], spacing: Spacing) -> dict[int, Tensor]:
    """The ascending timesteps (N,) for each number N of steps.

    Raises:
        UsageError: more steps than the schedule has.
    """
    try:
        return {count: timestep_grid(schedule, count, spacing) for count in counts}
    except ValueError as error:
        raise UsageError(str(error)) from None


def there_and_back(
    pipe: TextToImage, pictures: PromptedPictures, grid: Tensor, batch_size: int
) -> Inversion:
    """Each picture with its prompt, without guidance, up the grid and down again; of a model of
    process gaussian, which sees each picture's own embedding if it is an unCLIP decoder."""
    schedule = cast(NoiseSchedule, pipe.schedule)
    noises, drawn = [], []
    for start in range(0, len(pictures), batch_size):
        rows = slice(start, start + batch_size)
        conditioning = pipe.conditioning_of(pictures.prompts[rows], pictures.images[rows])
        denoise = cast(Denoise, pipe.denoiser(conditioning, grid))
        x_0 = pipe.codec.encode(pictures.images[rows].to(pipe.device))
        noise = last_of(invert(denoise, schedule, grid, x_0))
        noises.append(noise.cpu())
        x_0 = last_of(sample(denoise, schedule, DDIM(), grid, noise, no_noise))
        drawn.append(pipe.codec.images(x_0).cpu())
    return Inversion(len(grid), torch.cat(noises), torch.cat(drawn))


def last_of(steps: Iterator[Step]) -> Images:
    """x_t of the last step; those before it are not kept."""
    (last,) = deque(steps, maxlen=1)
    return last.x_t


def no_noise() -> NoReturn:
    raise AssertionError("DDIM with eta 0 draws no noise")


def rmse_of(pictures: Pictures, again: Images) -> PerSample:
    """Root mean square error of each picture in grey levels, (n,).

    again: (n, 3, S, S) in [-1, 1], neither clipped nor rounded.
    """
    return (to_levels(again.double()) - pictures).square().flatten(1).mean(1).sqrt()


def psnr_of(rmse: PerSample) -> PerSample:
    """Peak signal-to-noise ratio in dB of errors in grey levels."""
    return 20 * (255 / rmse).log10()


def round_trip(rmse: PerSample, noise: Images) -> RoundTrip:
    """Errors of one inversion. rmse: (n,) of each picture."""
    return RoundTrip(
        rmse=estimate_mean(rmse),
        psnr=estimate_mean(psnr_of(rmse)),
        noise_std=noise.std().item(),
    )


def result_of(real: PromptedPictures, inversions: Sequence[Inversion]) -> InversionResult:
    """Errors by number of steps."""
    errors = {str(each.num_steps): rmse_of(real.images, each.again) for each in inversions}
    noises = {str(each.num_steps): each.noise for each in inversions}
    return InversionResult(
        pictures=len(real),
        round_trips={steps: round_trip(rmse, noises[steps]) for steps, rmse in errors.items()},
        per_item={
            steps: values_by_item(real.prompts, {"rmse": rmse, "psnr": psnr_of(rmse)})
            for steps, rmse in errors.items()
        },
    )
