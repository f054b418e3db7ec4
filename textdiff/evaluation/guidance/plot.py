"""A sweep of guidance in one PNG: prompt following against distance, and who was gamed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from textdiff.evaluation.figures import COLOURS, INK, figure
from textdiff.evaluation.guidance.table import KID_UNIT, coordinates, pareto
from textdiff.evaluation.labels import place_labels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "osD^vPX<"  # one more than colours, so pairs repeat late; the star is for real pictures
WIDE, LINEAR_UP_TO = 0.3, 0.05  # a KID above the first makes the axis logarithmic beyond the other


def draw_sweep(path: str, found: dict[str, Any]) -> None:
    """`found` as `guidance_store.Store` keeps it.

    Raises:
        UsageError: matplotlib is missing.
    """
    with figure(path, 11.5, 5.6, "the plot of a sweep") as drawn:
        prompts = found["prompts"]
        drawn.suptitle(
            f"{prompts['count']} prompts, pictures of each: {prompts['pictures_of_each']}; "
            "bars: 95% intervals; "
            "numbers: scales of CFG, CLIP; thin lines: one CLIP scale; grey: Pareto front",
            x=0.01,
            ha="left",
            fontsize="medium",
            color=INK,
        )
        front, gap = drawn.subplots(1, 2, width_ratios=(1.7, 1))
        styles = style_of_kinds(found["settings"])
        draw_front(front, found, styles)
        draw_gap(gap, found, styles)
        handles, labels = front.get_legend_handles_labels()
        drawn.legend(
            handles, labels, loc="outside lower center", ncols=5 if len(labels) <= 5 else 4
        )
        points = [coordinates(one) for one in found["settings"]]
        place_labels(
            front,
            [(KID_UNIT * kid, rate) for kid, rate in points],
            [point_label(one) for one in found["settings"]],
        )


def style_of_kinds(settings: list[dict[str, Any]]) -> dict[str, dict[str, str]]:
    """A colour and a marker for each kind of guidance."""
    kinds = dict.fromkeys(one["kind"] for one in settings)
    return {
        kind: {"color": COLOURS[k % len(COLOURS)], "marker": MARKERS[k % len(MARKERS)]}
        for k, kind in enumerate(kinds)
    }


def point_label(one: dict[str, Any]) -> str:
    """The scales that are on."""
    scale, clip = one["guidance_scale"], one["clip_guidance_scale"]
    return ", ".join([f"{scale:g}"] * (scale != 1) + [f"{clip:g}"] * (clip != 0)) or "off"


def draw_front(axes: Axes, found: dict[str, Any], styles: dict[str, dict[str, str]]) -> None:
    """R@1 over KID, each with its interval."""
    best = sorted(coordinates(one) for one in pareto(found["settings"]))
    axes.plot(
        [KID_UNIT * kid for kid, _ in best],
        [rate for _, rate in best],
        color=INK,
        alpha=0.25,
        linewidth=5,
        solid_capstyle="round",
    )
    draw_rays(axes, found["settings"], styles)
    for kind, style in styles.items():
        of_kind = [one["held_out"] for one in found["settings"] if one["kind"] == kind]
        draw_points(axes, of_kind, style, kind)
    draw_points(axes, [found["real"]["held_out"]], {"color": INK, "marker": "*"}, "real pictures")
    axes.set(
        title="R@1 by held-out CLIPs over distance from real pictures",
        xlabel=f"KID x {KID_UNIT} in features of held-out CLIPs (left is closer)",
        ylabel="R@1, mean of held-out CLIPs",
    )
    axes.yaxis.set_major_formatter(as_percent)
    if max(one["held_out"]["KID"]["mean"] for one in found["settings"]) > WIDE:
        axes.set_xscale("symlog", linthresh=KID_UNIT * LINEAR_UP_TO, linscale=1.5)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


def draw_rays(
    axes: Axes, settings: list[dict[str, Any]], styles: dict[str, dict[str, str]]
) -> None:
    """Lines through the settings that differ in the scale of classifier-free guidance alone."""
    for kind, clip in {(one["kind"], one["clip_guidance_scale"]): None for one in settings}:
        ray = [one for one in settings if (one["kind"], one["clip_guidance_scale"]) == (kind, clip)]
        ray.sort(key=lambda one: one["guidance_scale"])
        x, y = zip(*map(coordinates, ray), strict=True)
        color = styles[kind]["color"]
        axes.plot([KID_UNIT * kid for kid in x], y, color=color, alpha=0.5, linewidth=0.8)


def draw_points(
    axes: Axes, numbers: list[dict[str, Any]], style: dict[str, str], label: str
) -> None:
    x, y = ([one[key]["mean"] for one in numbers] for key in ("KID", "R@1"))
    axes.errorbar(
        [KID_UNIT * value for value in x],
        y,
        xerr=[[KID_UNIT * side for side in sides] for sides in bars(numbers, "KID")],
        yerr=bars(numbers, "R@1"),
        linestyle="none",
        elinewidth=0.4,
        markersize=6,
        label=label,
        **style,
    )


def bars(numbers: list[dict[str, Any]], key: str) -> tuple[list[float], list[float]]:
    """Lengths of error bars down and up; an interval of resamples may leave its estimate out."""
    below = [max(0.0, one[key]["mean"] - one[key]["low"]) for one in numbers]
    return below, [max(0.0, one[key]["high"] - one[key]["mean"]) for one in numbers]


def draw_gap(axes: Axes, found: dict[str, Any], styles: dict[str, dict[str, str]]) -> None:
    """R@1 by held-out CLIPs over R@1 by the one that guides."""
    rows = [(one, styles[one["kind"]]) for one in found["settings"]]
    rows.append((found["real"], {"color": INK, "marker": "*"}))
    for one, style in rows:
        axes.plot(
            one["guide"]["R@1"]["mean"],
            one["held_out"]["R@1"]["mean"],
            linestyle="none",
            markersize=6,
            **style,
        )
    rates = [one[by]["R@1"]["mean"] for one, _ in rows for by in ("guide", "held_out")]
    low = max(0.0, min(rates) - 0.02)
    axes.plot([low, 1], [low, 1], color=INK, linestyle=":", linewidth=1)
    axes.set(
        title="Below the line: the guide was pleased, others less",
        xlabel="R@1, CLIP that guides",
        ylabel="R@1, mean of held-out CLIPs",
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(as_percent)


def as_percent(share: float, _: int) -> str:
    return f"{100 * share:g}%"
