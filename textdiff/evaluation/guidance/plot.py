"""A sweep of guidance in one PNG: prompt following against distance, and who was gamed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textdiff.evaluation.figures import COLOURS, INK, figure
from textdiff.evaluation.guidance.front import coordinates, pareto_front
from textdiff.evaluation.guidance.sweep import PictureScores, Scales, SettingResult, Sweep
from textdiff.evaluation.held_out.scores import KID_UNIT
from textdiff.evaluation.labels import place_labels
from textdiff.metrics.bootstrap import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "osD^vPX<"  # one more than colours, so pairs repeat late; the star is for real pictures
WIDE, LINEAR_UP_TO = 0.3, 0.05  # a KID above the first makes the axis logarithmic beyond the other


@dataclass(frozen=True)
class Style:
    """Of points. color, marker: as matplotlib's."""

    color: str
    marker: str


REAL = Style(INK, "*")


def draw_sweep(path: str, sweep: Sweep) -> None:
    """Writes the PNG.

    Raises:
        UsageError: matplotlib is missing.
    """
    with_cost = any(each.scales.choice for each in sweep.settings)
    width = 17.0 if with_cost else 11.5
    with figure(path, width, 5.6, "the plot of a sweep") as drawn:
        prompts = sweep.protocol.prompts
        drawn.suptitle(
            f"{prompts.count} prompts, pictures of each: {prompts.pictures_of_each}; "
            "bars: 95% intervals; "
            "numbers: scales of CFG, CLIP; thin lines: one CLIP scale; grey: Pareto front",
            x=0.01,
            ha="left",
            fontsize="medium",
            color=INK,
        )
        ratios = (1.7, 1.3, 1) if with_cost else (1.7, 1)
        front, *cost, gap = drawn.subplots(1, len(ratios), width_ratios=ratios)
        styles = style_of_kinds([each.kind for each in sweep.settings])
        draw_front(front, sweep, styles)
        draw_gap(gap, sweep, styles)
        for axes in cost:
            draw_cost(axes, sweep.settings, styles)
        handles, labels = front.get_legend_handles_labels()
        drawn.legend(
            handles, labels, loc="outside lower center", ncols=5 if len(labels) <= 5 else 4
        )
        points = [coordinates(each.scores) for each in sweep.settings]
        place_labels(
            front,
            [(KID_UNIT * kid, rate) for kid, rate in points],
            [point_label(each.scales) for each in sweep.settings],
        )
        for axes in cost:
            label_costs(axes, sweep.settings)


def style_of_kinds(kinds: Sequence[str]) -> dict[str, Style]:
    """A colour and a marker for each kind of guidance."""
    return {
        kind: Style(COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)])
        for k, kind in enumerate(dict.fromkeys(kinds))
    }


def point_label(scales: Scales) -> str:
    """The scales that are on, and steps where they are others."""
    guidance, clip, steps = scales.guidance, scales.clip, scales.num_steps
    on = [f"{guidance:g}"] * (guidance != 1) + [f"{clip:g}"] * (clip != 0) or ["off"]
    return ", ".join([*on, *([] if steps is None else [f"{steps} steps"])])


def draw_front(axes: Axes, sweep: Sweep, styles: dict[str, Style]) -> None:
    """R@1 over KID, each with its interval."""
    best = sorted(coordinates(each.scores) for each in pareto_front(sweep.settings))
    axes.plot(
        [KID_UNIT * kid for kid, _ in best],
        [rate for _, rate in best],
        color=INK,
        alpha=0.25,
        linewidth=5,
        solid_capstyle="round",
    )
    draw_rays(axes, sweep.settings, styles)
    for kind, style in styles.items():
        draw_points(axes, [e.scores for e in sweep.settings if e.kind == kind], style, kind)
    draw_points(axes, [sweep.real], REAL, "real pictures")
    axes.set(
        title="R@1 by held-out CLIPs over distance from real pictures",
        xlabel=f"KID x {KID_UNIT} in features of held-out CLIPs (left is closer)",
        ylabel="R@1, mean of held-out CLIPs",
    )
    axes.yaxis.set_major_formatter(as_percent)
    if max(each.scores.held_out.kid.value for each in sweep.settings) > WIDE:
        axes.set_xscale("symlog", linthresh=KID_UNIT * LINEAR_UP_TO, linscale=1.5)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


def draw_rays(axes: Axes, settings: Sequence[SettingResult], styles: dict[str, Style]) -> None:
    """Lines through the settings that differ in the scale of classifier-free guidance alone."""
    for kind, path in {(each.kind, each.scales.path): None for each in settings}:
        ray = [each for each in settings if (each.kind, each.scales.path) == (kind, path)]
        ray.sort(key=lambda each: each.scales.guidance)
        x, y = zip(*(coordinates(each.scores) for each in ray), strict=True)
        color = styles[kind].color
        axes.plot([KID_UNIT * kid for kid in x], y, color=color, alpha=0.5, linewidth=0.8)


def draw_cost(axes: Axes, settings: Sequence[SettingResult], styles: dict[str, Style]) -> None:
    """R@1 over evaluations of the network for a picture, without guidance by CLIP, whose gradients
    cost besides. Lines: a scale of guidance alone."""
    known = [(e.evaluations.network, e) for e in settings if e.evaluations and not e.scales.clip]
    for network, each in known:
        rate, style = each.scores.held_out.following.at_1, styles[each.kind]
        bars, color = error_bars([rate]), style.color
        axes.errorbar(
            [network],
            [rate.value],
            yerr=bars,
            linestyle="none",
            elinewidth=0.4,
            markersize=6,
            color=color,
            marker=style.marker,
        )
    for scale in {each.scales.guidance: None for _, each in known}:
        alone = sorted(
            (network, each.scores.held_out.following.at_1.value)
            for network, each in known
            if each.scales.guidance == scale and each.scales.choice is None
        )
        axes.plot(*zip(*alone, strict=True), color=INK, alpha=0.4, linewidth=0.8)
    axes.set(
        title="What more evaluations bring; lines: guidance alone",
        xlabel="rows of the U-Net for one picture, CFG taking two a step",
        ylabel="R@1, mean of held-out CLIPs",
    )
    axes.set_xscale("log", base=2)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_major_formatter(as_percent)


def label_costs(axes: Axes, settings: Sequence[SettingResult]) -> None:
    """The points of `draw_cost`, once the figure's layout is settled."""
    points = {
        (each.evaluations.network, each.scores.held_out.following.at_1.value): each.scales
        for each in settings
        if each.evaluations and not each.scales.clip
    }
    place_labels(axes, list(points), [point_label(each) for each in points.values()])


def draw_points(axes: Axes, scores: Sequence[PictureScores], style: Style, label: str) -> None:
    kids = [each.held_out.kid for each in scores]
    rates = [each.held_out.following.at_1 for each in scores]
    axes.errorbar(
        [KID_UNIT * kid.value for kid in kids],
        [rate.value for rate in rates],
        xerr=[[KID_UNIT * side for side in sides] for sides in error_bars(kids)],
        yerr=error_bars(rates),
        linestyle="none",
        elinewidth=0.4,
        markersize=6,
        label=label,
        color=style.color,
        marker=style.marker,
    )


def error_bars(estimates: Sequence[Estimate]) -> tuple[list[float], list[float]]:
    """Lengths down and up; an interval of resamples may leave its estimate out."""
    down = [max(0.0, each.value - each.low) for each in estimates]
    return down, [max(0.0, each.high - each.value) for each in estimates]


def draw_gap(axes: Axes, sweep: Sweep, styles: dict[str, Style]) -> None:
    """R@1 by held-out CLIPs over R@1 by the one that guides."""
    rows = [(each.scores, styles[each.kind]) for each in sweep.settings] + [(sweep.real, REAL)]
    points = [(s.guide.at_1.value, s.held_out.following.at_1.value, style) for s, style in rows]
    for x, y, style in points:
        axes.plot(x, y, linestyle="none", markersize=6, color=style.color, marker=style.marker)
    low = max(0.0, min(min(x, y) for x, y, _ in points) - 0.02)
    axes.plot([low, 1], [low, 1], color=INK, linestyle=":", linewidth=1)
    axes.set(
        title="Below the line: the guide was pleased, others less",
        xlabel="R@1, CLIP that guides",
        ylabel="R@1, mean of held-out CLIPs",
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(as_percent)


def as_percent(share: float, _: float) -> str:
    return f"{100 * share:g}%"
