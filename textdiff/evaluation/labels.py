"""Labels of points in a plot that cover neither each other nor the points.

Each label takes the first free place around its point, near ones first; a thin line leads to it
where it stands apart. A label for which no place is free is left out rather than made unreadable.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from textdiff.evaluation.figures import INK

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

DISTANCES = (9, 16, 24, 34, 46, 60)  # of a label's middle from its point, in points of type
DIRECTIONS = 12
LEAD_FROM = 16
LEAD = {"arrowstyle": "-", "color": INK, "linewidth": 0.4, "shrinkA": 7, "shrinkB": 3}
MARKER = 4  # half a marker's side
POINTS_PER_INCH = 72
APART = 3  # least distance of a label from others and from points


def place_labels(
    axes: Axes, points: Sequence[tuple[float, float]], labels: Sequence[str]
) -> list[Annotation]:
    """The labels that found a place. The figure's layout is fixed from here on."""
    from matplotlib.transforms import Bbox

    whole = axes.get_figure(root=True)
    assert whole is not None
    whole.draw_without_rendering()
    whole.set_layout_engine("none")
    half = MARKER * whole.dpi / POINTS_PER_INCH
    occupied = []
    for x, y in map(axes.transData.transform, points):
        occupied.append(Bbox.from_bounds(x - half, y - half, 2 * half, 2 * half))
    placed = []
    for point, text in sorted(zip(points, labels, strict=True)):
        label = place_label(axes, point, text, occupied, whole.dpi)
        if label is not None:
            occupied.append(label.get_window_extent())
            placed.append(label)
    return placed


def place_label(
    axes: Axes, point: tuple[float, float], text: str, occupied: Sequence[Bbox], dpi: float
) -> Annotation | None:
    """`text` beside `point`, clear of what is occupied and inside of the axes; None where no place
    is free."""
    from matplotlib.patheffects import withStroke

    for distance in DISTANCES:
        for k in range(DIRECTIONS):
            angle = math.pi / 4 + 2 * math.pi * k / DIRECTIONS
            # letters are wider than high: more room sideways
            place = (1.6 * distance * math.cos(angle), distance * math.sin(angle))
            label = axes.annotate(
                text,
                point,
                place,
                textcoords="offset points",
                ha="center",
                va="center",
                fontsize="small",
                color=INK,
                path_effects=[withStroke(linewidth=2, foreground="white")],  # over error bars
            )
            box = label.get_window_extent()
            inside = all(axes.bbox.contains(*corner) for corner in box.corners())
            if inside and not box.padded(APART * dpi / POINTS_PER_INCH).count_overlaps(occupied):
                if distance >= LEAD_FROM:
                    axes.annotate("", point, place, textcoords="offset points", arrowprops=LEAD)
                return label
            label.remove()
    return None
