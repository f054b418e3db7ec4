"""The plot of bounds: written as PNG, a curve per kind of captions."""

from __future__ import annotations

import pytest
from PIL import Image

from tests.helpers.bounds import result_of
from textdiff.evaluation.figures import COLOURS
from textdiff.evaluation.likelihood.plot import plot_bounds

pytest.importorskip("matplotlib")


@pytest.mark.parametrize("kinds", [("first",), ("first", "none")])
def test_a_curve_per_kind_of_captions(tmp_path, kinds):
    plot_bounds(str(tmp_path / "new" / "bits.png"), result_of(*kinds), "shapes")
    with Image.open(tmp_path / "new" / "bits.png") as plot:
        assert plot.format == "PNG"
        assert plot.size == (1200, 480)
        colours = {colour for _, colour in plot.convert("RGB").getcolors(maxcolors=1 << 16)}
    drawn = [tuple(bytes.fromhex(colour.removeprefix("#"))) in colours for colour in COLOURS[:2]]
    assert drawn == [True, len(kinds) == 2]
