"""The plot of a sweep."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PIL import Image

from tests.helpers.sweeps import estimated, sweep, sweep_of_choices
from textdiff.evaluation.figures import COLOURS
from textdiff.evaluation.guidance.plot import (
    draw_cost,
    draw_front,
    draw_gap,
    draw_sweep,
    error_bars,
    point_label,
    style_of_kinds,
)
from textdiff.evaluation.guidance.sweep import Scales
from textdiff.metrics.bootstrap import Estimate

pytest.importorskip("matplotlib")


def test_a_sweep_is_drawn(tmp_path):
    draw_sweep(str(tmp_path / "sweep.png"), sweep())
    with Image.open(tmp_path / "sweep.png") as plot:
        assert (plot.format, plot.size) == ("PNG", (1380, 672))
        colours = {colour for _, colour in plot.convert("RGB").getcolors(maxcolors=1 << 16)}
    drawn = [tuple(bytes.fromhex(colour.removeprefix("#"))) in colours for colour in COLOURS]
    assert drawn == [True] * 4 + [False] * 3  # four kinds


@pytest.fixture
def axes():
    from matplotlib.figure import Figure

    return Figure().subplots()


def test_settings_stand_at_their_kid_and_rate(axes):
    found = sweep()
    draw_front(axes, found, style_of_kinds([each.kind for each in found.settings]))
    containers, labels = axes.get_legend_handles_labels()
    points = {
        label: container.lines[0].get_xydata().tolist()
        for label, container in zip(labels, containers, strict=True)
    }
    assert {label: pytest.approx(point) for label, (point,) in points.items()} == {
        "none": [100, 0.2],
        "CFG": [200, 0.4],
        "CLIP": [300, 0.6],
        "CFG + CLIP": [400, 0.8],
        "real pictures": [0, 1.0],
    }


def test_choices_stand_at_their_cost_beside_a_line_of_guidance_alone(axes):
    found = sweep_of_choices().settings
    draw_cost(axes, found, style_of_kinds([each.kind for each in found]))
    assert axes.get_xscale() == "log"
    points = [container.lines[0].get_xydata()[0].tolist() for container in axes.containers]
    costs = [(4, 0.1), (12, 0.2), (12, 0.3), (16, 0.4), (16, 0.5)]
    assert points == [pytest.approx(each) for each in costs]
    alone = axes.lines[-1].get_xydata().tolist()
    assert alone == [pytest.approx(each) for each in ((4, 0.1), (12, 0.2), (16, 0.4))]


def test_a_sweep_with_choices_has_a_third_panel(tmp_path):
    draw_sweep(str(tmp_path / "sweep.png"), sweep_of_choices())
    with Image.open(tmp_path / "sweep.png") as plot:
        assert plot.size == (2040, 672)


def test_gap_is_the_rate_of_others_over_that_of_the_guide(axes):
    unguided, *_ = sweep().settings
    by_guide = replace(unguided.scores.guide, at_1=estimated(0.9))
    gamed = replace(unguided, scores=replace(unguided.scores, guide=by_guide))
    draw_gap(axes, replace(sweep(), settings=(gamed,)), style_of_kinds([gamed.kind]))
    first, real, diagonal = (line.get_xydata().tolist() for line in axes.lines)
    assert first == [pytest.approx([0.9, 0.2])]
    assert real == [[1.0, 1.0]]
    assert diagonal == [pytest.approx([0.18, 0.18]), [1, 1]]


def test_no_kind_looks_as_another_or_as_real_pictures():
    styles = style_of_kinds([str(k) for k in range(20)])
    assert len({(style.color, style.marker) for style in styles.values()}) == 20
    assert "*" not in {style.marker for style in styles.values()}


def test_points_are_labelled_with_the_scales_that_are_on():
    scales = [Scales(1, 0), Scales(2.5, 0), Scales(1, 5), Scales(2.5, 5)]
    assert [point_label(each) for each in scales] == ["off", "2.5", "5", "2.5, 5"]
    assert point_label(Scales(2.5, 0, num_steps=6)) == "2.5, 6 steps"


def test_error_bars_are_never_negative():
    outside = Estimate(1.0, 1.25, 1.5, 0.95, 50)
    down, up = error_bars([estimated(0.5), outside])
    assert down == pytest.approx([0.1, 0.0])
    assert up == pytest.approx([0.1, 0.5])
