"""In words, where there are too few pictures for a metric, to be printed and kept beside it.

    for sentence in too_few("frechet", drawn=500, real=4000, dim=512): ...

What a metric cannot be computed of at all, it refuses itself.
"""

from __future__ import annotations

from typing import Literal, get_args

from textdiff.metrics.neighbours import NEIGHBOURS

Metric = Literal["mean", "frechet", "kid", "cmmd", "neighbours"]

ROWS_PER_FEATURE = 10  # covariances of fewer rows have eigenvalues that are mostly noise
FOR_INTERVALS = 30  # percentile intervals of fewer observations are clearly too narrow
FOR_KERNELS = 100
FOR_NEIGHBOURS = 1000
CMMD_BIAS = 20.0  # 1000 (1 - k) of opposite unit features, whose k is exp(-4 / 200)
VISIBLE_BIAS = 0.1


def too_few(
    metric: Metric,
    drawn: int,
    real: int | None = None,
    dim: int | None = None,
    group: int = 1,
    k: int = NEIGHBOURS,
) -> list[str]:
    """Sentences on what these numbers of pictures do to a metric; none where they are enough.

    Args:
        metric: "mean" is of any mean over pictures, such as CLIP score or R@k.
        drawn: pictures that were drawn, or that the mean is over.
        real: pictures that they are compared with.
        dim: width of the features.
        group: how many pictures in a row are resampled as one, such as those of a prompt.
        k: neighbours of precision, recall, density and coverage.

    Raises:
        ValueError: no such metric, of which any number would seem enough.
    """
    if metric not in get_args(Metric):
        raise ValueError(f"unknown metric '{metric}'; known: {', '.join(get_args(Metric))}")
    fewest = drawn if real is None else min(drawn, real)
    counts = f"{drawn:,} " + ("pictures" if real is None else f"drawn and {real:,} real pictures")
    sentences = []
    if metric == "frechet" and dim is not None and fewest < ROWS_PER_FEATURE * dim:
        sentences.append(_frechet(counts, fewest, dim))
    if metric == "kid" and fewest < FOR_KERNELS:
        sentences.append(
            f"KID of {counts}: not biased, but the interval of fewer than {FOR_KERNELS} is rough."
        )
    if metric == "cmmd" and real and CMMD_BIAS * (1 / drawn + 1 / real) > VISIBLE_BIAS:
        sentences.append(
            f"CMMD of {counts}: biased upwards by up to {CMMD_BIAS * (1 / drawn + 1 / real):.2g}; "
            "compare it only with the CMMD of as many."
        )
    if metric == "neighbours" and fewest <= k:
        sentences.append(
            f"Precision, recall, density and coverage of {counts}: none, as {k} neighbours need "
            f"{k + 1} of each."
        )
    elif metric == "neighbours" and (fewest < FOR_NEIGHBOURS or drawn != real):
        sentences.append(
            f"Precision, recall, density and coverage of {counts}: they depend on both numbers; "
            "compare them only with those of as many."
        )
    observations = drawn // group if real is None else min(drawn // group, real)
    return sentences + _interval(counts, observations, group)


def _frechet(counts: str, fewest: int, dim: int) -> str:
    singular = ", and the covariance of so few has no inverse" if fewest <= dim else ""
    return (
        f"Frechet distance of {counts} with features of width {dim:,}: biased upwards below "
        f"{ROWS_PER_FEATURE} times the width, which is {ROWS_PER_FEATURE * dim:,}{singular}; "
        "compare it only with the distance of as many."
    )


def _interval(counts: str, observations: int, group: int) -> list[str]:
    what = "pictures" if group == 1 else f"groups of {group} drawn pictures"
    if observations < 2:
        return [f"An interval needs two {what} or more, and there are {counts}: none is known."]
    if observations < FOR_INTERVALS:
        return [f"Intervals over {observations} {what} are too narrow; {FOR_INTERVALS} are enough."]
    return []
