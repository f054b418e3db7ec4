"""What the bound of each kind of diffusion is made of, for `textdiff likelihood`.

uint8 image ── x_0 ──► x_t = add_noise(x_0, eps or coins) ── denoise ──► term, per timestep
x_0 ── prior ──► L_T
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from textdiff.binary import likelihood as binary_likelihood
from textdiff.binary.schedule import BinarySchedule
from textdiff.diffusion import NoiseSchedule, likelihood
from textdiff.diffusion.config import VarianceType
from textdiff.diffusion.variance import pick_variance
from textdiff.errors import UsageError
from textdiff.pictures import binarised
from textdiff.sampling.grid import timestep_grid
from textdiff.sampling.threshold import static_threshold
from textdiff.types import Conditioning, Images, PerSample, Timesteps

if TYPE_CHECKING:
    from textdiff.commands.likelihood import LikelihoodSettings
    from textdiff.pipeline import TextToImage

Noise = Callable[[Timesteps], Images]


class Measured(Protocol):
    """A model's process, on the chain of steps whose bound is asked for.

    chain: the schedule, respaced if `num_steps` is given.
    variance: None where there is none.
    """

    chain: NoiseSchedule | BinarySchedule
    variance: VarianceType | None

    def x_0(self, image: Tensor) -> Images:
        """uint8 (B, 3, S, S) as the pictures that the model knows."""
        ...

    def terms(
        self, conditioning: Conditioning, x_0: Images, eps: Noise, indices: Iterable[Timesteps]
    ) -> Iterator[tuple[Timesteps, PerSample]]:
        """As `diffusion.likelihood.bound_terms`, of eps ~ N(0, I)."""
        ...

    def prior(self, x_0: Images) -> PerSample:
        """L_T in bits/dim, (B,)."""
        ...


def measured(pipe: TextToImage, settings: LikelihoodSettings) -> Measured:
    """Raises UsageError: settings that the model cannot follow."""
    kind = {"gaussian": GaussianMeasured, "binary": BinaryMeasured}[pipe.config.process]
    return kind(pipe, settings)


class GaussianMeasured:
    """Noise of N(0, I); see `diffusion.likelihood`."""

    def __init__(self, pipe: TextToImage, settings: LikelihoodSettings):
        learned = pipe.config.unet.learned_variance
        try:
            self.variance = pick_variance(settings.variance, learned, otherwise="fixed_large")
        except ValueError as error:
            raise UsageError(f"--variance learned: {error}") from None
        self.pipe, self.clip_denoised = pipe, settings.clip_denoised
        self.chain = chain_of(pipe, settings)

    def x_0(self, image: Tensor) -> Images:
        return image.double() / 127.5 - 1

    def terms(
        self, conditioning: Conditioning, x_0: Images, eps: Noise, indices: Iterable[Timesteps]
    ) -> Iterator[tuple[Timesteps, PerSample]]:
        denoise = self.pipe.denoiser(conditioning)
        if self.clip_denoised:
            denoise = static_threshold(denoise, self.pipe.schedule)
        term = partial(likelihood.bound_term, self.chain, variance=self.variance)
        return likelihood.bound_terms(denoise, self.chain, x_0, eps, term, indices)

    def prior(self, x_0: Images) -> PerSample:
        return likelihood.prior_term(self.chain, x_0)


class BinaryMeasured:
    """Black and white pixels that flip; see `diffusion.binary_likelihood`."""

    variance = None

    def __init__(self, pipe: TextToImage, settings: LikelihoodSettings):
        if settings.variance != "auto":
            raise UsageError(
                f"--variance {settings.variance}: a binary model draws coins, which have no such "
                "setting; leave it out"
            )
        if settings.num_steps is not None and pipe.config.binary.predicts == "posterior":
            raise UsageError(
                "--num-steps: the network predicts the posterior, which is of single steps; "
                "leave it out"
            )
        self.pipe, self.chain = pipe, chain_of(pipe, settings)

    def x_0(self, image: Tensor) -> Images:
        return binarised(image, self.pipe.config.binary.threshold)

    def terms(
        self, conditioning: Conditioning, x_0: Images, eps: Noise, indices: Iterable[Timesteps]
    ) -> Iterator[tuple[Timesteps, PerSample]]:
        def coins(timestep: Timesteps) -> Images:
            return torch.special.ndtr(eps(timestep))

        denoise = self.pipe.denoiser(conditioning)
        return binary_likelihood.bound_terms(denoise, self.chain, x_0, coins, indices)

    def prior(self, x_0: Images) -> PerSample:
        return torch.full((len(x_0),), binary_likelihood.prior_term(self.chain))


def chain_of(pipe: TextToImage, settings: LikelihoodSettings) -> NoiseSchedule | BinarySchedule:
    """The schedule, respaced to `num_steps`. Raises UsageError if it has fewer steps."""
    schedule = pipe.schedule
    if settings.num_steps is None:
        return schedule
    try:
        return schedule.respaced(timestep_grid(schedule, settings.num_steps, settings.spacing))
    except ValueError as error:
        raise UsageError(f"--num-steps: {error}") from None
