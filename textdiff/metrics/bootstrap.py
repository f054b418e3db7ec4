"""Percentile bootstrap over images (Efron and Tibshirani 1993, chapter 13):

    theta_b  = statistic of n images drawn with replacement from n,          b = 1..B
    interval = linear quantiles (1 - c)/2 and (1 + c)/2 of theta_1..theta_B
    std_error = standard deviation of the theta_b, divisor B - 1

Captions move with their images: they are no independent observations. For statistics that are
biased in n, such as the Frechet distance, the interval shows spread only.

    draws = resample(n)                        # (B, n), the same for every statistic of n images
    estimate(theta, theta_of_resamples)        # Estimate
    estimate_mean(hits)                        # both at once, of a mean
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from textdiff.randomness import Stream

RESAMPLES = 1000
CONFIDENCE = 0.95

Draws = Int[Tensor, "resamples images"]  # numbers of the images in each resample
Counts = Float[Tensor, "resamples images"]  # how often each image is in each resample
Values = Shaped[Tensor, " values"]  # numbers or bools
Statistic = Callable[[Int[Tensor, " images"]], float]  # of images by number, repeats allowed


@dataclass(frozen=True)
class Estimate:
    """A number with its bootstrap interval.

    value: of all images. low, high: ends of the interval. std_error: None where it is not known,
    as in files. confidence: of the interval. resamples: B.
    """

    value: float
    low: float
    high: float
    confidence: float
    resamples: int
    std_error: float | None = None

    def as_json(self) -> dict[str, Any]:
        """As it stands in the files of evaluations."""
        return {
            "mean": self.value,
            "low": self.low,
            "high": self.high,
            "confidence": self.confidence,
            "resamples": self.resamples,
        }

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Estimate:
        """The inverse of `as_json`. Raises KeyError."""
        numbers = (entry[name] for name in ("mean", "low", "high", "confidence", "resamples"))
        return cls(*numbers)


def resample(
    num_images: int, resamples: int = RESAMPLES, stream: tuple[int | str, ...] = ("bootstrap", 0)
) -> Draws:
    """Numbers 0..num_images-1 drawn with replacement; the same for the same `stream`."""
    return Stream(*stream).integers(num_images, resamples, num_images)


def count_draws(draws: Draws) -> Counts:
    """How often each image is in each resample, float64."""
    ones = torch.ones(draws.shape, dtype=torch.float64)
    return torch.zeros(draws.shape, dtype=torch.float64).scatter_add_(1, draws, ones)


def estimate(
    value: float, resampled: Float[Tensor, " resamples"], confidence: float = CONFIDENCE
) -> Estimate:
    """Of a statistic that is `value` on all images and `resampled` (B,) on the resamples."""
    tails = torch.tensor([1 - confidence, 1 + confidence], dtype=torch.float64) / 2
    low, high = resampled.quantile(tails).tolist()
    std_error = resampled.std(correction=1).item()
    return Estimate(value, low, high, confidence, len(resampled), std_error)


def estimate_statistic(
    statistic: Statistic,
    num_images: int,
    *,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Estimate:
    """The statistic of all images 0..num_images-1, with its percentile interval."""
    draws = resample(num_images, resamples, ("bootstrap", seed))
    values = torch.tensor([statistic(draw) for draw in draws], dtype=torch.float64)
    return estimate(statistic(torch.arange(num_images)), values, confidence)


def mean_over_images(
    values: Values, image_of_value: Int[Tensor, " values"] | None = None
) -> Statistic:
    """Mean of `values` (m,) as a statistic of images, e.g. of hits or scores.

    Args:
        image_of_value: (m,) image number of each value, such as a caption's; None: value i belongs
            to image i. The mean is over the values of the drawn images, not over images.
    """
    values = values.detach().cpu().double()
    owner = torch.arange(len(values)) if image_of_value is None else image_of_value.cpu()
    count = torch.bincount(owner).double()
    total = torch.zeros_like(count).index_add_(0, owner, values)
    return lambda images: (total[images].sum() / count[images].sum()).item()


def estimate_mean(values: Tensor, image_of_value: Int[Tensor, " values"] | None = None) -> Estimate:
    """Mean of `values` (m,), of any number type or bool, with its interval over images.

    Args:
        image_of_value: as `mean_over_images`.
    """
    images = len(values) if image_of_value is None else int(image_of_value.max()) + 1
    return estimate_statistic(mean_over_images(values, image_of_value), images)


def estimate_means(
    values: Float[Tensor, "images statistics"], resamples: int = RESAMPLES
) -> list[Estimate]:
    """Mean over images of each column, all over the same resamples as `estimate_mean`."""
    shares = count_draws(resample(len(values), resamples)) / len(values)
    values = values.detach().cpu().double()
    means = (shares @ values).T
    pairs = zip(values.mean(0).tolist(), means, strict=True)
    return [estimate(mean, of_resamples) for mean, of_resamples in pairs]
