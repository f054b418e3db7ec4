"""`textdiff plot schedules`: the PNG, its pictures, the table, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from textdiff.commands import cli

pytest.importorskip("matplotlib")


@pytest.fixture
def plot(shapes, tmp_path, capsys):
    """Runs the command on the shapes; returns the picture and what was printed."""

    def run(*flags: str) -> tuple[Image.Image, str]:
        out = tmp_path / "new" / "schedules.png"
        data = ["--data.source", str(shapes), "--data.image-size", "16"]
        cli.run(["plot", "schedules", *data, "--out", str(out), *flags])
        with Image.open(out) as picture:
            assert picture.format == "PNG"
            return picture.convert("RGB"), capsys.readouterr().out

    return run


def share_of_colour(picture: Image.Image) -> float:
    """How many of the pixels are neither white nor grey, as frames and letters are."""
    pixels = np.asarray(picture).astype(int)
    return float((pixels.max(-1) - pixels.min(-1) > 60).mean())


def test_curves_and_strip_are_there(plot):
    picture, _ = plot("--num-timesteps", "20", "--strip-steps", "4", "--names", "linear")
    width, height = picture.size
    assert width >= 1000
    curves = [(0, 0, width // 2, 400), (width // 2, 0, width, 400)]
    assert all(share_of_colour(picture.crop(box)) > 0.005 for box in curves)
    assert share_of_colour(picture.crop((0, 420, width, height))) > 0.3


def test_every_schedule_adds_a_strip(plot):
    one, _ = plot("--num-timesteps", "20", "--names", "linear")
    two, _ = plot("--num-timesteps", "20", "--names", "linear", "cosine")
    assert one.width == two.width
    assert one.height + 100 < two.height


def test_table(plot):
    _, printed = plot("--num-timesteps", "1000", "--names", "cosine")
    rows = [line.replace("│", "").split() for line in printed.splitlines()]
    assert ["cosine", "0.846", "0.492", "0.143", "2.43e-09"] in rows
    assert ["cosine,", "zero", "terminal", "SNR", "0.846", "0.492", "0.143", "0"] in rows


def test_betas_of_ones_own(plot):
    flags = ["--names", "linear", "--num-timesteps", "9", "--zero-terminal-snr", "false"]
    _, printed = plot(*flags, "--betas", "0.5", "0.5", "0.5", "0.5")
    rows = [line.replace("│", "").split() for line in printed.splitlines()]
    assert ["explicit", "0.25", "0.125", "0.0625", "0.0625"] in rows
    assert "zero terminal SNR" not in printed


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--names", "cosin"], 2, "--names: Input should be 'linear', 'scaled_linear' or"),
        (["--betas", "0.1", "1.5"], 2, "--betas: Input should be less than 1"),
        (["--num-timesteps", "1"], 2, "--num-timesteps: Input should be greater than or equal to"),
        (["--picture", "absent.png"], 3, "absent.png cannot be used: missing file"),
        (["--picture", __file__], 3, f"{__file__} cannot be used: not an image in PNG"),
        (["--index", "16"], 2, "--index 16: "),
    ],
)
def test_bad_input(shapes, tmp_path, capsys, flags, code, message):
    out = tmp_path / "schedules.png"
    with pytest.raises(SystemExit) as ended:
        cli.main(["plot", "schedules", "--data.source", str(shapes), "--out", str(out), *flags])
    shown = capsys.readouterr().err
    assert ended.value.code == code
    assert shown.startswith(f"textdiff: error: {message}")
    assert len(shown.splitlines()) == 1
    assert not out.exists()
