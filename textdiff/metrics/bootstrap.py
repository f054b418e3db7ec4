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

from collections.abc import Mapping
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
Values = Shaped[Tensor, "values statistics"]  # numbers or bools


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
    one = torch.ones((), dtype=torch.float64).expand(draws.shape)
    return torch.zeros(draws.shape, dtype=torch.float64).scatter_add_(1, draws, one)


def estimate(
    value: float, resampled: Float[Tensor, " resamples"], confidence: float = CONFIDENCE
) -> Estimate:
    """Of a statistic that is `value` on all images and `resampled` (B,) on the resamples."""
    tails = torch.tensor([1 - confidence, 1 + confidence], dtype=torch.float64) / 2
    low, high = resampled.quantile(tails).tolist()
    std_error = resampled.std(correction=1).item()
    return Estimate(value, low, high, confidence, len(resampled), std_error)


def means_of_draws(
    values: Values, draws: Draws, image_of_value: Int[Tensor, " values"] | None = None
) -> Float[Tensor, "resamples statistics"]:
    """Mean of each column of `values` (m, K) over the values of the drawn images, (B, K) float64.

    Args:
        draws: (B, n) numbers of the images in each resample.
        image_of_value: (m,) image number of each value, such as a caption's; None: value i belongs
            to image i. Images with more values weigh more.
    """
    values = values.detach().cpu().double()
    owner = torch.arange(len(values)) if image_of_value is None else image_of_value.cpu()
    num_images = draws.shape[1]
    total = torch.zeros(num_images, values.shape[1], dtype=torch.float64)
    total.index_add_(0, owner, values)
    size = torch.bincount(owner, minlength=num_images).double()
    counts = count_draws(draws)
    return (counts @ total) / (counts @ size)[:, None]


def estimate_means(
    values: Values,
    image_of_value: Int[Tensor, " values"] | None = None,
    resamples: int = RESAMPLES,
) -> list[Estimate]:
    """Mean of each column of `values` (m, K), of any number type or bool, with its interval over
    images; all columns over the same resamples.

    Args:
        image_of_value: as `means_of_draws`.
    """
    images = len(values) if image_of_value is None else int(image_of_value.max()) + 1
    means = means_of_draws(values, torch.arange(images)[None], image_of_value)[0].tolist()
    resampled = means_of_draws(values, resample(images, resamples), image_of_value).T
    return [estimate(mean, column) for mean, column in zip(means, resampled, strict=True)]


def estimate_mean(
    values: Shaped[Tensor, " values"],
    image_of_value: Int[Tensor, " values"] | None = None,
    resamples: int = RESAMPLES,
) -> Estimate:
    """`estimate_means` of a single column, (m,)."""
    (found,) = estimate_means(values[:, None], image_of_value, resamples)
    return found
