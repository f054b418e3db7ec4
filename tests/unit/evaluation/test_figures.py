"""The frame of every plot: written whole or not at all, untouched by other matplotlib settings."""

from __future__ import annotations

import pytest
from PIL import Image

from textdiff import errors
from textdiff.errors import UsageError
from textdiff.evaluation.figures import COLOURS, DOTS_PER_INCH, figure

matplotlib = pytest.importorskip("matplotlib")


def plot(path) -> Image.Image:
    with figure(path, 3, 2, "a test") as drawn:
        drawn.subplots().plot([0, 1], [0, 1])
    return Image.open(path).convert("RGB")


def test_size_is_in_inches(tmp_path):
    assert plot(tmp_path / "new" / "a.png").size == (3 * DOTS_PER_INCH, 2 * DOTS_PER_INCH)


def test_the_first_curve_has_the_first_colour(tmp_path):
    colours = {colour for _, colour in plot(tmp_path / "a.png").getcolors(maxcolors=1 << 16)}
    assert tuple(bytes.fromhex(COLOURS[0].removeprefix("#"))) in colours


def test_settings_of_the_user_change_nothing(tmp_path):
    first = plot(tmp_path / "a.png")
    with matplotlib.rc_context({"lines.linewidth": 9, "axes.facecolor": "black"}):
        second = plot(tmp_path / "b.png")
        assert matplotlib.rcParams["lines.linewidth"] == 9
    assert first.tobytes() == second.tobytes()


def test_a_failure_writes_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), figure(tmp_path / "a.png", 3, 2, "a test"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_the_cure_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(errors.EXTRAS, "plot", {"no_such_module": "matplotlib"})
    cure = r"the curve needs the package matplotlib: pip install matplotlib \(extra 'plot'\)"
    with pytest.raises(UsageError, match=cure), figure(tmp_path / "a.png", 3, 2, "the curve"):
        pass
