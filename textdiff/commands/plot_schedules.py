"""`textdiff plot schedules`: how fast noise takes over, as curves and on a picture.

alphas_cumprod over (t + 1)/T | log-SNR = log(ac / (1 - ac)) over (t + 1)/T
one picture, one row per schedule: x_t at evenly spaced t, all with the same eps
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from textdiff.config import Settings, build
from textdiff.data.config import DataConfig
from textdiff.diffusion.config import OpenUnit, ScheduleConfig
from textdiff.errors import UsageError
from textdiff.evaluation.figures import INK, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from torch import Tensor

    from textdiff.diffusion import NoiseSchedule

WIDTH, CURVES_HEIGHT, LABEL_WIDTH, LABEL_HEIGHT = 10.0, 3.4, 0.5, 0.28  # inches
GAP = 2  # white pixels between the pictures of a strip


class PlotSchedulesSettings(Settings):
    out: str = Field("schedules.png", description="where the picture goes")
    names: list[Literal["linear", "scaled_linear", "cosine"]] = Field(
        ["linear", "scaled_linear", "cosine"], min_length=1, description="which schedules"
    )
    num_timesteps: int = Field(1000, ge=2, le=100_000, description="T of these")
    betas: tuple[OpenUnit, ...] | None = Field(
        None, min_length=2, description="a schedule of your own, drawn beside these"
    )
    zero_terminal_snr: bool = Field(
        True, description="also their versions that end in pure noise, dashed"
    )
    picture: str | None = Field(
        None, description="image file to add noise to; none: a picture of the data"
    )
    data: DataConfig = DataConfig(subset="nature")
    index: int = Field(0, ge=0, description="which picture of the data")
    strip_steps: int = Field(8, ge=2, le=32, description="noise levels of the picture, at most T")


def run(settings: PlotSchedulesSettings) -> None:
    """Draws, writes one PNG, prints a table.

    Raises:
        DataError: no such picture. UsageError: matplotlib is missing, or `out` is no place.
    """
    from textdiff.files import check_file

    check_file("--out", settings.out)
    schedules = schedules_of(settings)
    row_height = (WIDTH - LABEL_WIDTH) / settings.strip_steps + LABEL_HEIGHT
    heights = [CURVES_HEIGHT, len(schedules) * row_height]
    with figure(settings.out, WIDTH, sum(heights), "the plot of schedules") as drawn:
        image = load_picture(settings)
        curves, strips = drawn.subfigures(2, 1, height_ratios=heights)
        draw_curves(*curves.subplots(1, 2), schedules)
        rows = strips.subplots(len(schedules), 1, squeeze=False)[:, 0]
        for row, (name, versions) in zip(rows, schedules.items(), strict=True):
            draw_strip(row, name, versions[0], image, settings.strip_steps)
    print_table(schedules)
    print(f"plot: {settings.out}")


def schedules_of(settings: PlotSchedulesSettings) -> dict[str, list[NoiseSchedule]]:
    """By name: the schedule and, where asked, its version of zero terminal SNR."""
    from textdiff.diffusion import NoiseSchedule

    configs = [ScheduleConfig(name=n, num_timesteps=settings.num_timesteps) for n in settings.names]
    if settings.betas:
        explicit = {"name": "explicit", "betas": settings.betas}
        configs.append(build(ScheduleConfig, [("--betas", explicit)]))
    plain = {config.name: NoiseSchedule.from_config(config) for config in configs}
    if not settings.zero_terminal_snr:
        return {name: [schedule] for name, schedule in plain.items()}
    return {name: [schedule, schedule.with_zero_terminal_snr()] for name, schedule in plain.items()}


def load_picture(settings: PlotSchedulesSettings) -> Tensor:
    """(3, S, S) float in [-1, 1].

    Raises:
        DataError: it cannot be used. UsageError: the data have no picture of this index.
    """
    from textdiff.data import BadImage, decode_image, open_data

    if settings.picture is not None:
        try:
            image = decode_image(settings.picture, settings.data)
        except BadImage as error:
            raise BadImage(error.reason, settings.picture) from error
    else:
        data = open_data(settings.data, "all")
        if settings.index >= len(data):
            raise UsageError(
                f"--index {settings.index}: {data.name} has {len(data)} images, from 0"
            )
        image = data.image(settings.index)
    return image.float() / 127.5 - 1


def draw_curves(signal: Axes, ratio: Axes, schedules: dict[str, list[NoiseSchedule]]) -> None:
    """alphas_cumprod into `signal`, log-SNR into `ratio`; the second schedule of a name dashed."""
    import torch

    for colour, (name, versions) in enumerate(schedules.items()):
        for schedule, style in zip(versions, ("-", "--"), strict=False):
            x = torch.arange(1, schedule.num_timesteps + 1) / schedule.num_timesteps
            look = {"color": f"C{colour}", "linestyle": style}
            signal.plot(x, schedule.alphas_cumprod, label=name if style == "-" else None, **look)
            ratio.plot(x, schedule.snr.log(), **look)
    if any(len(versions) > 1 for versions in schedules.values()):
        signal.plot([], [], "--", color=INK, label="zero terminal SNR")
    signal.set(title="alphas_cumprod", xlabel="(t + 1) / T", xlim=(0, 1))
    ratio.set(title="log-SNR = log(ac / (1 - ac))", xlabel="(t + 1) / T", xlim=(0, 1))
    signal.legend(loc="upper right")


def draw_strip(
    axes: Axes, name: str, schedule: NoiseSchedule, image: Tensor, num_steps: int
) -> None:
    """x_t of `image` at `num_steps` evenly spaced t, side by side, each labelled with its t."""
    import torch
    import torch.nn.functional as F

    from textdiff.randomness import generator

    timestep = torch.linspace(0, schedule.num_timesteps - 1, num_steps).round().long().unique()
    x_0 = image.expand(len(timestep), *image.shape)
    eps = torch.randn(image.shape, generator=generator("plot schedules")).expand_as(x_0)
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


def print_table(schedules: dict[str, list[NoiseSchedule]]) -> None:
    """alphas_cumprod of each schedule at T/4, T/2, 3T/4 and T-1."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(title="alphas_cumprod", box=box.SIMPLE_HEAD)
    for header in ("schedule", "t = T/4", "T/2", "3T/4", "T-1"):
        table.add_column(header, justify="left" if header == "schedule" else "right")
    for name, versions in schedules.items():
        for schedule, suffix in zip(versions, ("", ", zero terminal SNR"), strict=False):
            T = schedule.num_timesteps
            values = schedule.alphas_cumprod[[T // 4, T // 2, 3 * T // 4, T - 1]]
            table.add_row(name + suffix, *(f"{value:.3g}" for value in values.tolist()))
    Console().print(table)
