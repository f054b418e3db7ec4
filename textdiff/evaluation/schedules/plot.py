"""How fast noise takes over, as curves and on a picture, in one PNG.

alphas_cumprod over (t + 1)/T | log-SNR = log(ac / (1 - ac)) over (t + 1)/T
one picture, one row per schedule: x_t at evenly spaced t, all with the same eps
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F

from textdiff.diffusion import NoiseSchedule
from textdiff.evaluation.figures import INK, figure
from textdiff.evaluation.schedules.compare import Compared, Picture
from textdiff.pictures import to_float
from textdiff.randomness import Stream

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, CURVES_HEIGHT, LABEL_WIDTH, LABEL_HEIGHT = 10.0, 3.4, 0.5, 0.28  # inches
GAP = 2  # white pixels between the pictures of a strip


def draw_schedules(
    path: str, schedules: Sequence[Compared], picture: Picture, strip_steps: int
) -> None:
    """Writes the PNG. strip_steps: noise levels of the picture.

    Raises:
        UsageError: matplotlib is missing.
    """
    row_height = (WIDTH - LABEL_WIDTH) / strip_steps + LABEL_HEIGHT
    heights = [CURVES_HEIGHT, len(schedules) * row_height]
    with figure(path, WIDTH, sum(heights), "the plot of schedules") as drawn:
        parts: Any = drawn.subfigures(2, 1, height_ratios=heights)
        curves, strips = parts
        signal, ratio = curves.subplots(1, 2)
        draw_curves(signal, ratio, schedules)
        rows = strips.subplots(len(schedules), 1, squeeze=False)[:, 0]
        for row, each in zip(rows, schedules, strict=True):
            draw_strip(row, each.name, each.schedule, picture, strip_steps)


def draw_curves(signal: Axes, ratio: Axes, schedules: Sequence[Compared]) -> None:
    """alphas_cumprod into `signal`, log-SNR into `ratio`; zero terminal SNR dashed."""
    for colour, each in enumerate(schedules):
        for schedule, style in ((each.schedule, "-"), (each.zero_terminal, "--")):
            if schedule is None:
                continue
            x = torch.arange(1, schedule.num_timesteps + 1) / schedule.num_timesteps
            label, look = each.name if style == "-" else None, f"C{colour}"
            signal.plot(x, schedule.alphas_cumprod, label=label, color=look, linestyle=style)
            ratio.plot(x, schedule.snr.log(), color=look, linestyle=style)
    if any(each.zero_terminal for each in schedules):
        signal.plot([], [], "--", color=INK, label="zero terminal SNR")
    signal.set(title="alphas_cumprod", xlabel="(t + 1) / T", xlim=(0, 1))
    ratio.set(title="log-SNR = log(ac / (1 - ac))", xlabel="(t + 1) / T", xlim=(0, 1))
    signal.legend(loc="upper right")


def draw_strip(
    axes: Axes, name: str, schedule: NoiseSchedule, picture: Picture, num_steps: int
) -> None:
    """x_t of `picture` at `num_steps` evenly spaced t, side by side, each labelled with its t."""
    timestep = torch.linspace(0, schedule.num_timesteps - 1, num_steps).round().long().unique()
    image = to_float(picture[None])[0]
    x_0 = image.expand(len(timestep), *image.shape)
    eps = Stream("plot schedules").normal(*image.shape).expand_as(x_0)
    x_t = (schedule.add_noise(x_0, eps, timestep).clamp(-1, 1) + 1) / 2
    strip = torch.cat(list(F.pad(x_t, (0, GAP), value=1.0)), dim=2)[..., :-GAP]
    axes.imshow(strip.permute(1, 2, 0).numpy(), interpolation="nearest")
    side = image.shape[-1]
    centres = [k * (side + GAP) + (side - 1) / 2 for k in range(len(timestep))]
    axes.set_xticks(centres, [f"t = {t}" for t in timestep.tolist()])
    axes.set(yticks=[], ylabel=name, anchor="W")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
