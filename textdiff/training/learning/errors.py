"""Errors of a network by quarter of the timesteps, beside those of who sees no picture in x_t.

    error = | x_0 - x_0_hat |^2, averaged over pixels, pictures and the quarter's timesteps

so that eps, v and x_0 prediction compare, and the noisy timesteps, where drawing starts and the
text decides, count as they should: eps-MSE is tiny there whatever the network does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import torch
from torch import Tensor

from textdiff.diffusion.objective import simple_loss
from textdiff.training.draws import QUARTERS
from textdiff.training.learning.probe import CHUNK, Denoised, Denoiser, FixedNoise, Probe
from textdiff.training.learning.references import PixelStatistics
from textdiff.types import Conditioning, Images, Timesteps

# x_0_hat of `references`, from pixel statistics, x_t and timestep
SinglePixels = Callable[[PixelStatistics, Images, Timesteps], Images]


@dataclass(frozen=True)
class Errors:
    """Mean squared errors of x_0_hat, each by quarter of the timesteps, the least noisy first.

    network, single_pixels: 4 numbers each. mean_picture: the same in every quarter.
    """

    network: tuple[float, ...]
    single_pixels: tuple[float, ...]
    mean_picture: float

    @property
    def below_mean(self) -> float:
        """By what share the network is nearer to the pictures than their mean; below 0 farther."""
        return 1 - fmean(self.network) / self.mean_picture

    @property
    def below_mean_noisiest(self) -> float:
        """The same in the noisiest quarter."""
        return 1 - self.network[-1] / self.mean_picture

    @property
    def below_single_pixels(self) -> float:
        """The same, against who sees each pixel alone, in the noisier half: in the other, x_t says
        nearly all."""
        half = QUARTERS // 2
        return 1 - sum(self.network[half:]) / sum(self.single_pixels[half:])

    def values(self, group: str) -> dict[str, float]:
        """For metrics.jsonl."""
        by_quarter = {"x_0_mse": self.network, "x_0_mse_single_pixels": self.single_pixels}
        return {
            **{
                f"{group}/{name}_q{q}": value
                for name, values in by_quarter.items()
                for q, value in enumerate(values, 1)
            },
            f"{group}/x_0_mse_mean_picture": self.mean_picture,
            f"{group}/below_mean": self.below_mean,
            f"{group}/below_mean_q{QUARTERS}": self.below_mean_noisiest,
        }

    @classmethod
    def read(cls, values: Mapping[str, float], group: str) -> Errors | None:
        """Undoes `values`; None where they are not there."""
        if f"{group}/x_0_mse_mean_picture" not in values:
            return None
        network, single = (
            tuple(values[f"{group}/{name}_q{q}"] for q in range(1, QUARTERS + 1))
            for name in ("x_0_mse", "x_0_mse_single_pixels")
        )
        return cls(network, single, values[f"{group}/x_0_mse_mean_picture"])


@torch.no_grad()
def denoise_quarters(
    denoise: Denoiser, probe: Probe, conditioning: Conditioning, noise: FixedNoise
) -> Iterator[tuple[int, Denoised]]:
    """Yields (quarter of the timesteps, what is made of some pictures of the probe in it), 0 the
    least noisy.

    Args:
        conditioning: of the probe's captions.
    """
    for quarter in range(QUARTERS):
        draws = noise.in_quarter(quarter, len(probe))
        for start in range(0, len(probe), CHUNK):
            rows = slice(start, start + CHUNK)
            yield quarter, denoise(probe.images[rows], draws[rows], conditioning[rows])


def mean_losses(denoised: Iterable[tuple[int, Denoised]]) -> list[float]:
    """By quarter."""
    losses: list[list[Tensor]] = [[] for _ in range(QUARTERS)]
    for quarter, each in denoised:
        losses[quarter].append(each.loss)
    return [_mean(parts) for parts in losses]


def losses_and_errors(
    denoised: Iterable[tuple[int, Denoised]], pixels: PixelStatistics, single_pixels: SinglePixels
) -> tuple[list[float], Errors | None]:
    """`mean_losses`, and the errors: None where x_0 is not what is predicted, or where all pictures
    are the same.

    Args:
        pixels: of pictures such as these.
    """
    parts: dict[str, list[list[Tensor]]] = {
        name: [[] for _ in range(QUARTERS)] for name in ("loss", "network", "mean", "single")
    }
    for quarter, each in denoised:
        parts["loss"][quarter].append(each.loss)
        if each.x_0_hat is not None:
            guesses = {
                "network": each.x_0_hat,
                "mean": pixels.mean.expand_as(each.x_0),
                "single": single_pixels(pixels, each.x_t, each.timestep),
            }
            for name, guess in guesses.items():
                parts[name][quarter].append(simple_loss(each.x_0, guess))
    losses = [_mean(of_quarter) for of_quarter in parts["loss"]]
    if not parts["network"][0] or not pixels.variance.any():
        return losses, None
    network, single = (tuple(map(_mean, parts[name])) for name in ("network", "single"))
    return losses, Errors(network, single, _mean(parts["mean"][0]))


def _mean(parts: Sequence[Tensor]) -> float:
    return torch.cat(list(parts)).mean().item()
