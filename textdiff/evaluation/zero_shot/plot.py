"""What is taken for what, in one PNG.

up to 40 classes   the whole matrix: a row per truth, shares of its pictures
more               the pairs that are confused most, and how accuracy spreads over the classes
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from textdiff.evaluation.figures import COLOURS, INK, figure
from textdiff.evaluation.zero_shot.measure import Counts
from textdiff.evaluation.zero_shot.result import Confused, ZeroShotResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_NAMES = 40  # of a matrix
MOST_PAIRS = 30
CELL, MARGIN, LEAST_WIDTH = 0.27, 1.9, 5.0  # inches: side of a cell, room for names
WIDE, BAR = 11.0, 0.2  # inches: of the pairs
LEAST_SHARE = 0.005  # that is written into its cell
DARK = 0.55  # share from which on letters are white
LONGEST_NAME = 28  # letters
EMPTY = "#c0c0c0"  # hatching
PURPOSE = "the picture of what is confused"


def draw_confusion(
    path: str, result: ZeroShotResult, counts: Counts, names: Sequence[str], title: str
) -> None:
    """Writes the PNG.

    Raises:
        UsageError: matplotlib is missing.
    """
    pairs = result.confused[:MOST_PAIRS]
    if len(names) <= MOST_NAMES:
        side = MARGIN + CELL * len(names)
        size = (max(side, LEAST_WIDTH), side + 0.3)
    else:
        size = (WIDE, MARGIN + BAR * max(len(pairs), 8))
    with figure(path, *size, PURPOSE) as drawn:
        drawn.suptitle(title, x=0.01, ha="left", fontsize="medium", color=INK)
        if len(names) <= MOST_NAMES:
            draw_matrix(drawn.subplots(), counts, [short(name) for name in names])
        else:
            left, right = drawn.subplots(1, 2, width_ratios=[3, 2])
            draw_pairs(left, pairs)
            draw_spread(right, result)


def draw_matrix(axes: Axes, counts: Counts, names: Sequence[str]) -> None:
    """Shares of each row in percent: what is right in blue, what is wrong in orange; rows without
    pictures are hatched."""
    shares = counts.double() / counts.sum(dim=1, keepdim=True)
    right = torch.eye(len(names), dtype=torch.bool)
    for part, colours in ((right, "Blues"), (~right & (shares > 0), "Oranges")):
        kept = shares.masked_fill(~part, torch.nan)  # NaN is not drawn
        axes.imshow(kept.numpy(), cmap=colours, vmin=0, vmax=1)
    for row in shares.isnan().any(dim=1).nonzero().flatten().tolist():
        axes.axhspan(row - 0.5, row + 0.5, facecolor="none", edgecolor=EMPTY, hatch="///")
    written = (shares >= LEAST_SHARE) | (right & ~shares.isnan())
    for row, column in written.nonzero().tolist():
        share = shares[row, column].item()
        text, ink = f"{100 * share:.0f}", "white" if share > DARK else INK
        axes.text(column, row, text, ha="center", va="center", fontsize="x-small", color=ink)
    pictures = counts.sum(dim=1).tolist()
    ticks, edges = range(len(names)), [k - 0.5 for k in range(1, len(names))]
    axes.set_xticks(ticks, names, rotation=90)
    axes.set_yticks(ticks, [f"{name} ({n})" for name, n in zip(names, pictures, strict=True)])
    axes.set_xticks(edges, minor=True)
    axes.set_yticks(edges, minor=True)
    axes.grid(visible=False)
    axes.grid(visible=True, which="minor", linewidth=0.6)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)
    axes.set(xlabel="taken for, % of the row", ylabel="truth (pictures)")


def draw_pairs(axes: Axes, confused: Sequence[Confused]) -> None:
    """A bar per pair with its number of pictures, the most frequent on top."""
    names = [f"{short(pair.truth)} \u2192 {short(pair.taken_for)}" for pair in confused]
    shares = [100 * pair.share for pair in confused]
    bars = axes.barh(range(len(confused)), shares, color=COLOURS[0])
    axes.bar_label(bars, [str(pair.pictures) for pair in confused], padding=3, fontsize="small")
    axes.set_yticks(range(len(confused)), names)
    axes.set_ylim(len(confused), -1)
    axes.grid(visible=False, axis="y")
    axes.set(title="truth \u2192 taken for, with how many", xlabel="% of the truth's pictures")


def draw_spread(axes: Axes, result: ZeroShotResult) -> None:
    """How many classes have which accuracy."""
    accuracies = torch.tensor([100 * rate.accuracy.value for rate in result.classes])
    mean = 100 * result.accuracies.mean_per_class.accuracy.value
    axes.hist(accuracies.numpy(), bins=20, range=(0, 100), color=COLOURS[0])
    axes.axvline(mean, color=COLOURS[1], label=f"mean {mean:.1f}%")
    axes.legend(loc="upper left")
    axes.set(title="accuracy of each class", xlabel="% of its pictures", ylabel="classes")


def short(name: str) -> str:
    """A name that has room; a dollar sign opens no formula."""
    cut = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 3]}..."
    return cut.replace("$", r"\$")
