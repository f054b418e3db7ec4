"""The plot of a sweep."""

from __future__ import annotations

import pytest
from PIL import Image

from tests.helpers.sweeps import estimated, sweep
from textdiff.evaluation.guidance.plot import draw_sweep, error_bars, point_label, style_of_kinds
from textdiff.evaluation.guidance.sweep import Scales
from textdiff.metrics.bootstrap import Estimate

pytest.importorskip("matplotlib")


def test_a_sweep_is_drawn(tmp_path):
    draw_sweep(str(tmp_path / "sweep.png"), sweep())
    assert Image.open(tmp_path / "sweep.png").size == (1380, 672)


def test_no_kind_looks_as_another_or_as_real_pictures():
    styles = style_of_kinds([str(k) for k in range(20)])
    assert len({(style.color, style.marker) for style in styles.values()}) == 20
    assert "*" not in {style.marker for style in styles.values()}


def test_points_are_labelled_with_the_scales_that_are_on():
    scales = [Scales(1, 0), Scales(2.5, 0), Scales(1, 5), Scales(2.5, 5)]
    assert [point_label(each) for each in scales] == ["off", "2.5", "5", "2.5, 5"]


def test_error_bars_are_never_negative():
    outside = Estimate(1.0, 1.25, 1.5, 0.95, 50)
    down, up = error_bars([estimated(0.5), outside])
    assert down == pytest.approx([0.1, 0.0])
    assert up == pytest.approx([0.1, 0.5])
