"""What a clean and a noised CLIP recognise over the timesteps, in one PNG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textdiff.evaluation.figures import COLOURS, INK, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

READERS = {"clean": COLOURS[1], "noised": COLOURS[0]}
PANELS = {
    "zero-shot accuracy": {"zero-shot": "-"},
    "R@1": {"image to text R@1": "-", "text to image R@1": "--"},
    "R@5": {"image to text R@5": "-", "text to image R@5": "--"},
}


def draw_levels(path: str, found: dict[str, Any]) -> None:
    """A panel per metric with 95% intervals and chance; `found` as `noised_clip.measure` gives it.

    Raises:
        UsageError: matplotlib is missing.
    """
    with figure(path, 11, 3.8, "the plot of a noised CLIP") as drawn:
        title = f"{found['searched']} images under noise; bands: 95% intervals; dotted: chance"
        drawn.suptitle(title, x=0.01, ha="left", fontsize="medium", color=INK)
        for axes, (name, metrics) in zip(drawn.subplots(1, 3), PANELS.items(), strict=True):
            for metric, line in metrics.items():
                draw_metric(axes, metric, line, found)
            axes.set(title=name, xlabel="timestep t")
            axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g}%")
            axes.set_ylim(bottom=0)
        handles, labels = axes.get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=len(labels))


def draw_metric(axes: Axes, metric: str, line: str, found: dict[str, Any]) -> None:
    """Both CLIPs' curves; bands for the solid lines alone, which would hide each other else."""
    x = found["timesteps"]
    query = metric.partition(" R@")[0]
    for reader, colour in READERS.items():
        curve = found["results"][metric][reader]
        label = f"{reader} CLIP, {query}"
        axes.plot(x, [p["mean"] for p in curve], line, color=colour, label=label)
        if line == "-":
            low, high = ([p[end] for p in curve] for end in ("low", "high"))
            axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
    if line == "-":
        axes.axhline(found["chance"][metric], color=INK, linestyle=":", linewidth=1)
