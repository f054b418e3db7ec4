"""The tables of `textdiff likelihood`."""

from __future__ import annotations

from textdiff.evaluation.likelihood.result import BoundSummary, LikelihoodResult
from textdiff.evaluation.tables import estimate_cells, print_table
from textdiff.metrics.bootstrap import Estimate

COLUMNS = ["", "bits/dim", "95% interval"]


def print_bounds(result: LikelihoodResult, source: str) -> None:
    """A table per kind of captions, one of their differences, and what they are of.

    Args:
        source: where the images are from.
    """
    images = f"{result.pictures} images of {source}"
    for kind, bound in result.bounds.items():
        print_table(f"Bits/dim of {images}, captions: {kind}", COLUMNS, bound_rows(bound))
    if result.differences:
        rows = [row(name, bits) for name, bits in result.differences.items()]
        print_table(f"Differences on {images}", COLUMNS, rows)
    print(about(result, source))


def about(result: LikelihoodResult, source: str) -> str:
    """What was measured, in a line."""
    images = f"{result.pictures} images of {source}"
    variance = [f"variance {result.variance}"] if result.variance else []
    timesteps = f"{result.timesteps_per_picture} of {result.num_steps} timesteps"
    return "; ".join([images, *variance, timesteps])


def how_to_measure_all(result: LikelihoodResult, num_images: int) -> str:
    """What to give for every timestep and image; empty where nothing was left out. num_images: of
    the split."""
    flags = []
    if result.timesteps_per_picture < result.num_steps:
        flags.append(f"--estimate none for all {result.num_steps} timesteps")
    if result.pictures < num_images:
        flags.append(f"--limit none for all {num_images} images")
    whole = result.num_steps / result.timesteps_per_picture * num_images / result.pictures
    return f"{', '.join(flags)}: {whole:.3g} times as long" if flags else ""


def bound_rows(bound: BoundSummary) -> list[list[str]]:
    """The parts from the noisy end on, then their sum."""
    return [
        row("prior L_T", bound.prior),
        *(row(f"t = {part.first}..{part.last}", part.bits) for part in reversed(bound.quarters)),
        row("sum over t >= 1", bound.rest),
        row("L_0", bound.L_0),
        row("total", bound.total),
    ]


def row(name: str, bits: Estimate) -> list[str]:
    return estimate_cells(name, bits, ".4f")
