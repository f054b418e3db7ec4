"""The terms of the bound over the timesteps, and their sum from the noisy end, in one PNG."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

from textdiff.evaluation.figures import COLOURS, INK, figure
from textdiff.evaluation.likelihood.result import BoundSummary, LikelihoodResult
from textdiff.evaluation.likelihood.table import about

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def plot_bounds(path: str, result: LikelihoodResult, source: str) -> None:
    """One curve per kind of captions. source: where the images are from.

    Raises:
        UsageError: matplotlib is missing.
    """
    with figure(path, 10, 4, "the plot of the bound") as sheet:
        title = about(result, source)
        sheet.suptitle(title, x=0.01, ha="left", fontsize="medium", color=INK)
        terms, sums = sheet.subplots(1, 2)
        for colour, (kind, bound) in zip(COLOURS, result.bounds.items(), strict=False):
            plot_terms(terms, kind, bound, colour)
            plot_sums(sums, bound, colour)
        terms.set(
            title="bits/dim of each timestep, first $L_0$; 95% interval of the mean",
            xlabel="t + 1",
            xscale="log",
            yscale="log",
        )
        sums.set(title="bits/dim summed from the noisy end down to t", xlabel="t + 1", xscale="log")
        sums.set_ylim(bottom=0)
        terms.legend(loc="upper right")
        sums.legend(loc="upper right")


def plot_terms(axes: Axes, kind: str, bound: BoundSummary, colour: str) -> None:
    """L_t over t, at the middle of each stratum."""
    terms = bound.terms
    x = [(a + b) / 2 + 1 for a, b in zip(terms.first, terms.last, strict=True)]
    label = f"captions: {kind}, $L_0$ {bound.L_0.value:.3f}"
    axes.plot(x, terms.mean, color=colour, label=label)
    axes.plot(x[0], terms.mean[0], "o", color=colour)
    axes.fill_between(x, terms.low, terms.high, color=colour, alpha=0.25, linewidth=0)


def plot_sums(axes: Axes, bound: BoundSummary, colour: str) -> None:
    """prior + sum of L_s over s >= t."""
    terms = bound.terms
    parts = [n * bits for n, bits in zip(terms.timesteps, terms.mean, strict=True)]
    so_far = list(accumulate(reversed(parts), initial=bound.prior.value))[:0:-1]
    label = f"total {bound.total.value:.3f}, prior {bound.prior.value:.1e}"
    x = [first + 1 for first in terms.first]
    axes.step(x, so_far, where="post", color=colour, label=label)
