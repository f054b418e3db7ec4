"""One look for all plots: quiet axes, colours that colour-blind readers tell apart too.

with figure("bits.png", 8, 4, "the plot of bits/dim") as drawn:
    axes = drawn.subplots()
    axes.plot(t, bits)
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textdiff.errors import require_extra
from textdiff.files import replacing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's palette, without its yellow, which is faint on white
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000")
INK, FAINT = "#404040", "#e2e2e2"
DOTS_PER_INCH = 120


@contextmanager
def figure(path: str | Path, width: float, height: float, purpose: str) -> Iterator[Figure]:
    """Yields an empty Figure of `width` x `height` inches; writes it to `path` as PNG at the end.

    Nothing is written if the block fails. No window and no global state: pyplot is not used, and
    the style holds only inside the block.

    Raises:
        UsageError: matplotlib is missing; the message says that `purpose` needs it.
    """
    require_extra("plot", purpose)
    from cycler import cycler
    from matplotlib import rc_context, rcParamsDefault
    from matplotlib.figure import Figure
    from PIL import Image

    style: dict[Any, Any] = {
        "axes.axisbelow": True,
        "axes.edgecolor": INK,
        "axes.grid": True,
        "axes.labelcolor": INK,
        "axes.labelsize": "medium",
        "axes.prop_cycle": cycler(color=COLOURS),
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlecolor": INK,
        "axes.titlelocation": "left",
        "axes.titlesize": "medium",
        "figure.constrained_layout.use": True,
        "figure.dpi": DOTS_PER_INCH,
        "font.size": 9,
        "grid.color": FAINT,
        "legend.frameon": False,
        "lines.linewidth": 1.6,
        "savefig.dpi": "figure",
        "text.color": INK,
        "xtick.color": INK,
        "ytick.color": INK,
    }
    defaults: dict[Any, Any] = {k: v for k, v in rcParamsDefault.items() if k != "backend"}
    with rc_context(defaults | style):  # a matplotlibrc of the user's changes nothing
        drawn = Figure(figsize=(width, height))
        yield drawn
        drawing = io.BytesIO()
        drawn.savefig(drawing, format="png")
    # curves have few colours, and pictures in a plot only illustrate: with a palette the file is a
    # third as large
    picture = Image.open(drawing).convert("RGB").quantize(256)
    with replacing(path) as temporary:
        picture.save(temporary, format="PNG", optimize=True)
