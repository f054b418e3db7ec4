"""Percentile bootstrap over images (Efron and Tibshirani 1993, chapter 13):

    theta_b  = statistic of n images drawn with replacement from n,          b = 1..B
    interval = linear quantiles (1 - c)/2 and (1 + c)/2 of theta_1..theta_B
    std_error = standard deviation of the theta_b, divisor B - 1

Captions move with their images: they are no independent observations. For statistics that are
biased in n, such as the Frechet distance, the interval shows spread only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from textdiff.randomness import generator

# of the images with these numbers, repeats allowed
Statistic = Callable[[Int[Tensor, " n"]], float]


@dataclass(frozen=True)
class Interval:
    """An estimate with its bootstrap interval."""

    estimate: float
    low: float
    high: float
    std_error: float
    confidence: float
    resamples: int


def bootstrap_interval(
    statistic: Statistic,
    num_images: int,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """The statistic of all images 0..num_images-1, with its percentile interval."""
    rng = generator("bootstrap", seed)
    draws = (torch.randint(num_images, (num_images,), generator=rng) for _ in range(resamples))
    values = torch.tensor([statistic(draw) for draw in draws], dtype=torch.float64)
    return percentile_interval(statistic(torch.arange(num_images)), values, confidence)


def percentile_interval(estimate: float, resampled: Tensor, confidence: float) -> Interval:
    """Of a statistic with the values `resampled` (B,) on B resamples."""
    tails = torch.tensor([1 - confidence, 1 + confidence], dtype=torch.float64) / 2
    low, high = resampled.quantile(tails).tolist()
    spread = resampled.std(correction=1).item()
    return Interval(estimate, low, high, spread, confidence, len(resampled))


def mean_over_images(values: Tensor, image_of_value: Tensor | None = None) -> Statistic:
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
