"""The terms of the bound of each kind of diffusion.

x_0 ── add_noise(x_0, eps or coins) ──► x_t ── denoise ──► L_t in bits/dim, per timestep
x_0 ── prior ──► L_T
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol, TypeVar, cast

import torch

from textdiff.binary import likelihood as binary_likelihood
from textdiff.binary.prediction import BinaryDenoise
from textdiff.binary.schedule import BinarySchedule
from textdiff.diffusion import NoiseSchedule, likelihood
from textdiff.diffusion.config import ProcessType, VarianceType
from textdiff.diffusion.variance import pick_variance
from textdiff.errors import UsageError
from textdiff.pipeline import TextToImage
from textdiff.sampling.config import Spacing
from textdiff.sampling.grid import timestep_grid
from textdiff.sampling.threshold import static_threshold
from textdiff.types import Conditioning, Denoise, Images, PerSample, Timesteps

Noise = Callable[[Timesteps], Images]
Schedule = TypeVar("Schedule", NoiseSchedule, BinarySchedule)


class BoundTerms(Protocol):
    """The bound of one model, term by term.

    chain: the model's schedule, respaced if the bound of fewer steps is asked for.
    variance: sigma^2 of the reverse steps; None where the process has none.
    clip_denoised: whether x_0_hat is clipped; None where it cannot be out of range.
    """

    @property
    def chain(self) -> NoiseSchedule | BinarySchedule: ...

    @property
    def variance(self) -> VarianceType | None: ...

    @property
    def clip_denoised(self) -> bool | None: ...

    def terms(
        self, conditioning: Conditioning, x_0: Images, eps: Noise, indices: Iterable[Timesteps]
    ) -> Iterator[tuple[Timesteps, PerSample]]:
        """As `diffusion.likelihood.bound_terms`, of eps ~ N(0, I)."""
        ...

    def prior(self, x_0: Images) -> PerSample:
        """L_T in bits/dim, (B,)."""
        ...


def bound_terms_of(
    pipe: TextToImage,
    *,
    variance: VarianceType | Literal["auto"] = "auto",
    num_steps: int | None = None,
    spacing: Spacing = "trailing",
    clip_denoised: bool = True,
) -> BoundTerms:
    """The terms of the model's bound.

    Args:
        variance: "auto" is the model's own where it learned one, else fixed_large.
        num_steps: of the chain whose bound it is; None: all T.

    Raises:
        UsageError: a variance or a number of steps that the model does not have.
    """
    build = BUILDERS[pipe.config.process]
    return build(pipe, variance, num_steps, spacing, clip_denoised)


@dataclass(frozen=True)
class GaussianBoundTerms:
    """Noise of N(0, I); see `diffusion.likelihood`."""

    pipe: TextToImage
    chain: NoiseSchedule
    variance: VarianceType
    clip_denoised: bool

    def terms(
        self, conditioning: Conditioning, x_0: Images, eps: Noise, indices: Iterable[Timesteps]
    ) -> Iterator[tuple[Timesteps, PerSample]]:
        denoise = cast(Denoise, self.pipe.denoiser(conditioning))
        if self.clip_denoised:
            denoise = static_threshold(denoise, cast(NoiseSchedule, self.pipe.schedule))
        term = partial(likelihood.bound_term, self.chain, variance=self.variance)
        return likelihood.bound_terms(denoise, self.chain, x_0, eps, term, indices)

    def prior(self, x_0: Images) -> PerSample:
        return likelihood.prior_term(self.chain, x_0)


@dataclass(frozen=True)
class BinaryBoundTerms:
    """Black and white pixels that flip; see `binary.likelihood`."""

    pipe: TextToImage
    chain: BinarySchedule
    variance: None = None
    clip_denoised: None = None

    def terms(
        self, conditioning: Conditioning, x_0: Images, eps: Noise, indices: Iterable[Timesteps]
    ) -> Iterator[tuple[Timesteps, PerSample]]:
        def coins(timestep: Timesteps) -> Images:
            return torch.special.ndtr(eps(timestep))

        denoise = cast(BinaryDenoise, self.pipe.denoiser(conditioning))
        return binary_likelihood.bound_terms(denoise, self.chain, x_0, coins, indices)

    def prior(self, x_0: Images) -> PerSample:
        return torch.full((len(x_0),), binary_likelihood.prior_term(self.chain))


def _gaussian(
    pipe: TextToImage,
    variance: VarianceType | Literal["auto"],
    num_steps: int | None,
    spacing: Spacing,
    clip_denoised: bool,
) -> GaussianBoundTerms:
    learned = pipe.config.unet.learned_variance
    try:
        variance = pick_variance(variance, learned, otherwise="fixed_large")
    except ValueError as error:
        raise UsageError(f"--variance learned: {error}") from None
    chain = respaced(cast(NoiseSchedule, pipe.schedule), num_steps, spacing)
    return GaussianBoundTerms(pipe, chain, variance, clip_denoised)


def _binary(
    pipe: TextToImage,
    variance: VarianceType | Literal["auto"],
    num_steps: int | None,
    spacing: Spacing,
    clip_denoised: bool,
) -> BinaryBoundTerms:
    if variance != "auto":
        raise UsageError(
            f"--variance {variance}: a binary model draws coins, which have no such setting; "
            "leave it out"
        )
    if num_steps is not None and pipe.config.binary.predicts == "posterior":
        raise UsageError(
            "--num-steps: the network predicts the posterior, which is of single steps; "
            "leave it out"
        )
    schedule = cast(BinarySchedule, pipe.schedule)
    return BinaryBoundTerms(pipe, respaced(schedule, num_steps, spacing))


BUILDERS: dict[ProcessType, Callable[..., BoundTerms]] = {"gaussian": _gaussian, "binary": _binary}


def respaced(schedule: Schedule, num_steps: int | None, spacing: Spacing) -> Schedule:
    """The schedule of so many steps; None: as it is. Raises UsageError if it has fewer."""
    if num_steps is None:
        return schedule
    try:
        return schedule.respaced(timestep_grid(schedule, num_steps, spacing))
    except ValueError as error:
        raise UsageError(f"--num-steps: {error}") from None
