"""Percentile bootstrap over images (Efron and Tibshirani 1993, chapter 13):

    theta_b  = statistic of n images drawn with replacement from n,          b = 1..B
    interval = linear quantiles (1 - c)/2 and (1 + c)/2 of theta_1..theta_B
    std_error = standard deviation of the theta_b, divisor B - 1

Captions move with their images: they are no independent observations. For statistics that are
biased in n, such as the Frechet distance, the interval shows spread only.

    draws = resample(n)                        # (B, n), the same for every statistic of n images
    estimate(theta, theta_of_resamples)        # Estimate
    estimate_mean(hits)                        # both at once, of a mean
    estimate_median(ranks)                     # the same of a median

Resamples of many images are drawn a part at a time, so that B x n numbers are never held.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from textdiff.randomness import Stream

RESAMPLES = 1000
CONFIDENCE = 0.95
PART = 2**22  # draws at once: 32 MB of image numbers

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


def resample_in_parts(
    num_images: int,
    resamples: int = RESAMPLES,
    stream: tuple[int | str, ...] = ("bootstrap", 0),
    width: int = 1,
) -> Iterator[Draws]:
    """`resample` a few rows at a time. width: numbers that each draw will be worth."""
    numbers, part = Stream(*stream), max(1, PART // max(num_images, width))
    for start in range(0, resamples, part):
        yield numbers.integers(num_images, min(part, resamples - start), num_images)


def resample_owners(owner: Int[Tensor, " values"], resamples: int, width: int) -> Iterator[Draws]:
    """`resample_in_parts` of the images 0..max(owner), but for resamples whose images own no value:
    no statistic is known of them."""
    owns = torch.bincount(owner) > 0
    for draws in resample_in_parts(len(owns), resamples, width=width):
        yield draws if owns.all() else draws[owns[draws].any(dim=1)]


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


def estimate_of_finite(value: float, resampled: Float[Tensor, " resamples"]) -> Estimate:
    """`estimate` of a statistic that not every resample has: one of a single picture, which few
    pictures give at times, has no pairs."""
    return estimate(value, resampled[resampled.isfinite()])


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


def means_of_resamples(
    values: Float[Tensor, " images"], resamples: int, stream: tuple[int | str, ...]
) -> Float[Tensor, " resamples"]:
    """Means of `values` (n,) over the images of each resample of `stream`, (B,)."""
    parts = resample_in_parts(len(values), resamples, stream)
    return torch.cat([means_of_draws(values[:, None], draws)[:, 0] for draws in parts])


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
    owner = torch.arange(len(values)) if image_of_value is None else image_of_value.cpu()
    all_images = torch.arange(int(owner.max()) + 1)[None]
    means = means_of_draws(values, all_images, owner)[0].tolist()
    parts = resample_owners(owner, resamples, width=len(values))
    resampled = torch.cat([means_of_draws(values, draws, owner) for draws in parts]).T
    return [estimate(mean, column) for mean, column in zip(means, resampled, strict=True)]


def estimate_mean(
    values: Shaped[Tensor, " values"],
    image_of_value: Int[Tensor, " values"] | None = None,
    resamples: int = RESAMPLES,
) -> Estimate:
    """`estimate_means` of a single column, (m,)."""
    (found,) = estimate_means(values[:, None], image_of_value, resamples)
    return found


def estimate_median(
    values: Shaped[Tensor, " values"],
    image_of_value: Int[Tensor, " values"] | None = None,
    resamples: int = RESAMPLES,
) -> Estimate:
    """Median of `values` (m,), the mean of the middle two where m is even, with its interval.

    Args:
        image_of_value: as `means_of_draws`.
    """
    ordered, order = values.detach().cpu().double().sort()
    owner = order if image_of_value is None else image_of_value.cpu()[order]
    parts = resample_owners(owner, resamples, width=len(values))
    found = [_weighted_medians(ordered, count_draws(draws)[:, owner]) for draws in parts]
    plain = _weighted_medians(ordered, torch.ones(1, len(values), dtype=torch.float64))
    return estimate(plain.item(), torch.cat(found))


def _weighted_medians(
    ordered: Float[Tensor, " values"], counts: Float[Tensor, "resamples values"]
) -> Float[Tensor, " resamples"]:
    """Of ascending values, each as often as counted."""
    up_to = counts.cumsum(dim=1)
    total = up_to[:, -1:]
    lower = torch.searchsorted(up_to, (total / 2).ceil())
    upper = torch.searchsorted(up_to, (total / 2).floor() + 1)
    return (ordered[lower] + ordered[upper])[:, 0] / 2
