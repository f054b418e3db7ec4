"""The terms of the bound over the timesteps, and their sum from the noisy end, in one PNG."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, Any

from textdiff.evaluation.figures import COLOURS, INK, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_bounds(path: str, title: str, results: dict[str, dict[str, Any]]) -> None:
    """One curve per kind of captions; `results` by kind, as `likelihood_table.summary` gives them.

    Raises:
        UsageError: matplotlib is missing.
    """
    with figure(path, 10, 4, "the plot of the bound") as drawn:
        drawn.suptitle(title, x=0.01, ha="left", fontsize="medium", color=INK)
        terms, sums = drawn.subplots(1, 2)
        for colour, (kind, found) in zip(COLOURS, results.items(), strict=False):
            draw_terms(terms, kind, found, colour)
            draw_sums(sums, found, colour)
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


def draw_terms(axes: Axes, kind: str, found: dict[str, Any], colour: str) -> None:
    """L_t over t, at the middle of each stratum."""
    values = found["terms"]
    x = [(a + b) / 2 + 1 for a, b in zip(values["from"], values["to"], strict=True)]
    label = f"captions: {kind}, $L_0$ {found['L_0']['mean']:.3f}"
    axes.plot(x, values["mean"], color=colour, label=label)
    axes.plot(x[0], values["mean"][0], "o", color=colour)
    axes.fill_between(x, values["low"], values["high"], color=colour, alpha=0.25, linewidth=0)


def draw_sums(axes: Axes, found: dict[str, Any], colour: str) -> None:
    """prior + sum of L_s over s >= t."""
    values, prior = found["terms"], found["prior"]["mean"]
    parts = [n * bits for n, bits in zip(values["timesteps"], values["mean"], strict=True)]
    so_far = list(accumulate(reversed(parts), initial=prior))[:0:-1]
    label = f"total {found['total']['mean']:.3f}, prior {prior:.1e}"
    x = [first + 1 for first in values["from"]]
    axes.step(x, so_far, where="post", color=colour, label=label)
