"""Bounds of five images, with random terms."""

from __future__ import annotations

import torch

from textdiff.diffusion.likelihood import strata, stratified_timesteps
from textdiff.evaluation.likelihood.result import LikelihoodResult, compare, summarise
from textdiff.metrics.likelihood import Bound


def bound(num_steps: int, count: int, seed: int = 0) -> Bound:
    """Of a chain of `num_steps`, in `count` strata."""
    rng = torch.Generator().manual_seed(seed)
    edges = strata(num_steps, count)
    uniforms = torch.rand(5, count, generator=rng)
    terms = torch.rand(5, count, generator=rng, dtype=torch.float64)
    prior = torch.rand(5, generator=rng, dtype=torch.float64)
    return Bound(prior, stratified_timesteps(edges, uniforms), terms, edges)


def result_of(*kinds: str) -> LikelihoodResult:
    """Of 100 steps in 6 strata, for these kinds of captions."""
    bounds = {kind: bound(100, 6, seed) for seed, kind in enumerate(kinds)}
    return LikelihoodResult(
        pictures=5,
        captions_cut=0,
        variance="fixed_large",
        num_timesteps=100,
        num_steps=100,
        timesteps_per_picture=6,
        clip_denoised=True,
        bounds={kind: summarise(each, torch.arange(100)) for kind, each in bounds.items()},
        differences=compare(bounds),
        per_picture={kind: each.total.tolist() for kind, each in bounds.items()},
    )
