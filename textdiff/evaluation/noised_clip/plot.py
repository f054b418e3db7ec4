"""What a clean and a noised CLIP recognise over the timesteps, in one PNG."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textdiff.evaluation.figures import COLOURS, INK, figure
from textdiff.evaluation.noised_clip.result import NoisedClipResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PANELS = {  # title -> line of each metric
    "zero-shot accuracy": {"zero-shot": "-"},
    "R@1": {"image to text R@1": "-", "text to image R@1": "--"},
    "R@5": {"image to text R@5": "-", "text to image R@5": "--"},
}


def plot_levels(path: str, result: NoisedClipResult) -> None:
    """A panel per metric with 95% intervals and chance.

    Raises:
        UsageError: matplotlib is missing.
    """
    with figure(path, 11, 3.8, "the plot of a noised CLIP") as sheet:
        title = f"{result.searched} images under noise; bands: 95% intervals; dotted: chance"
        sheet.suptitle(title, x=0.01, ha="left", fontsize="medium", color=INK)
        for axes, (name, metrics) in zip(sheet.subplots(1, 3), PANELS.items(), strict=True):
            for metric, line in metrics.items():
                plot_metric(axes, metric, line, result)
            axes.set(title=name, xlabel="timestep t")
            axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g}%")
            axes.set_ylim(bottom=0)
        handles, labels = axes.get_legend_handles_labels()
        sheet.legend(handles, labels, loc="outside lower center", ncols=len(labels))


def plot_metric(axes: Axes, metric: str, line: str, result: NoisedClipResult) -> None:
    """Both CLIPs' curves; bands for the solid lines alone, else they would hide each other."""
    comparison = result.comparisons[metric]
    query = metric.partition(" R@")[0]
    curves = (("clean", comparison.clean, COLOURS[1]), ("noised", comparison.noised, COLOURS[0]))
    for name, curve, colour in curves:
        means = [level.value for level in curve]
        label = f"{name} CLIP, {query}"
        axes.plot(result.timesteps, means, line, color=colour, label=label)
        if line == "-":
            low, high = [level.low for level in curve], [level.high for level in curve]
            axes.fill_between(result.timesteps, low, high, color=colour, alpha=0.2, linewidth=0)
    if line == "-":
        axes.axhline(result.chance[metric], color=INK, linestyle=":", linewidth=1)
