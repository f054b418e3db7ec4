"""Two sets of features compared, and one of them with itself.

    drawn, real ── Frechet, KID, CMMD, nearest neighbours ──► what differs
    real, in two halves ── the same ──► what remains of it without a model
    drawn, held out ── nearest training picture of each ──► whether drawn ones are copies

A CLIP compares directions: its features enter with unit length, and for KID with sqrt(D), which
makes its kernel (cos + 1)^3. Those of other networks enter as they are, as published numbers do.
Pictures of one prompt are no independent observations, and are resampled together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import torch
import torch.nn.functional as F

from textdiff.errors import DataError
from textdiff.evaluation.distribution.by_item import ItemNames, Nearness, items_of
from textdiff.evaluation.distribution.result import Comparison, CopyingResult, DistributionResult
from textdiff.metrics.bootstrap import estimate_mean
from textdiff.metrics.copying import Nearest, copied_share, nearest_pictures
from textdiff.metrics.diversity import diversity_of_prompts
from textdiff.metrics.frechet import frechet_estimate
from textdiff.metrics.kernel_distance import cmmd_estimate, kid_estimate
from textdiff.metrics.neighbours import NEIGHBOURS, Neighbourhood, neighbourhood
from textdiff.metrics.sample_size import Metric, too_few
from textdiff.randomness import Stream
from textdiff.types import Features

LARGEST_DIM = 4096  # a covariance of D x D in float64, of which several are held


@dataclass(frozen=True)
class Copies:
    """The nearest training picture of each drawn and of each held-out picture."""

    drawn: Nearest
    held_out: Nearest


def measure_distribution(
    drawn: Features,
    real: Features,
    *,
    per_prompt: int,
    unit_length: bool,
    copies: Copies | None = None,
    names: ItemNames | None = None,
    seed: int = 0,
) -> DistributionResult:
    """Raises DataError: fewer than two pictures, or prompts, of either kind.

    Args:
        drawn: (n, D), the `per_prompt` of each prompt in a row. real: (m, D).
        unit_length: whether lengths of features mean nothing.
        copies: None: none were looked for.
        names: of the pictures; None: values of single ones are not kept.
        seed: of the halves of the real pictures.
    """
    for name, count in (("drawn", len(drawn)), ("real", len(real))):
        if count < 2:
            raise DataError(f"{count} {name} picture(s): a distribution has two or more")
    x, y = (as_they_enter(each, unit_length) for each in (drawn, real))
    halves, around = split_in_halves(y, seed), neighbours_of(x, y)
    copying, why_not = measure_copies(copies, per_prompt)
    diversities = diversity_of_prompts(drawn, per_prompt) if per_prompt > 1 else None
    threshold = copying.threshold if copying else None
    return DistributionResult(
        drawn=compare(x, y, around, per_prompt, unit_length),
        real=compare(*halves, neighbours_of(*halves), 1, unit_length) if halves else None,
        diversity=None if diversities is None else estimate_mean(diversities),
        copying=copying,
        warnings=[
            *warn(len(drawn), len(real), real.shape[1], per_prompt),
            *(warn_of_halves(len(drawn), len(real)) if halves else []),
            *why_not,
        ],
        per_item=items_of(
            names,
            around=around,
            nearness=Nearness(copies.drawn.similarity, threshold) if copies else None,
            diversities=diversities,
        )
        if names
        else {},
    )


def as_they_enter(features: Features, unit_length: bool) -> Features:
    return F.normalize(features, dim=-1) if unit_length else features


def neighbours_of(x: Features, y: Features) -> Neighbourhood | None:
    """None: there are too few."""
    return neighbourhood(x, y) if min(len(x), len(y)) > NEIGHBOURS else None


def compare(
    x: Features, y: Features, around: Neighbourhood | None, per_prompt: int, unit_length: bool
) -> Comparison:
    """Every metric that can be computed of so many pictures. x (n, D), y (m, D): as they enter.
    around: their neighbours."""
    scale = x.shape[1] ** 0.5 if unit_length else 1.0
    return Comparison(
        pictures=len(x),
        real=len(y),
        frechet=frechet_estimate(x, y, per_prompt) if x.shape[1] <= LARGEST_DIM else None,
        kid=kid_estimate(scale * x, scale * y, per_prompt),
        cmmd=cmmd_estimate(x, y, per_prompt),
        **(around.estimates(per_prompt) if around else {}),
    )


def warn(drawn: int, real: int, dim: int, per_prompt: int) -> list[str]:
    """What the numbers of pictures do to each metric, a sentence each."""
    metrics: tuple[Metric, ...] = get_args(Metric)
    sentences = [
        sentence
        for metric in metrics
        if metric != "mean"
        for sentence in too_few(metric, drawn, real, dim, per_prompt)
    ]
    if dim > LARGEST_DIM:
        sentences.append(
            f"No Frechet distance of features of width {dim:,}, above {LARGEST_DIM:,}."
        )
    return list(dict.fromkeys(sentences))


def warn_of_halves(drawn: int, real: int) -> list[str]:
    """Why the real pictures' own numbers may look worse than they are."""
    half = real // 2
    if half >= drawn:
        return []
    return [f"Frechet distance and CMMD of real halves, {half:,} pictures each, are biased more."]


def split_in_halves(real: Features, seed: int) -> tuple[Features, Features] | None:
    """Two halves of equal size, drawn by the seed; None where one would have fewer than two."""
    half = len(real) // 2
    if half < 2:
        return None
    order = Stream("halves", seed).permutation(len(real))
    return real[order[:half]], real[order[half : 2 * half]]


def find_copies(drawn: Features, held_out: Features, training: Features) -> Copies:
    """The nearest training picture of each."""
    return Copies(nearest_pictures(drawn, training), nearest_pictures(held_out, training))


def measure_copies(
    copies: Copies | None, per_prompt: int
) -> tuple[CopyingResult | None, list[str]]:
    """What there is to say of copies, and why not where nothing."""
    if copies is None:
        return None, []
    drawn, held_out = copies.drawn.similarity, copies.held_out.similarity
    try:
        copying = copied_share(drawn, held_out, group=per_prompt)
    except DataError as error:
        return None, [f"No share of copies: {error}."]
    owner = torch.arange(len(drawn)) // per_prompt
    return CopyingResult(
        share=copying.share,
        chance=copying.chance,
        threshold=copying.threshold,
        drawn=estimate_mean(drawn, owner),
        held_out=estimate_mean(held_out),
    ), []
