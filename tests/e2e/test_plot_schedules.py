"""`textdiff plot schedules`: the PNG, its pictures, the table, bad input."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from textdiff.commands import cli
from textdiff.commands.plot_schedules import (
    PlotSchedulesSettings,
    draw_curves,
    draw_strip,
    load_picture,
    schedules_of,
)
from textdiff.data import DataConfig
from textdiff.diffusion import NoiseSchedule

Figure = pytest.importorskip("matplotlib.figure").Figure


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
    rows = [line.split() for line in printed.splitlines()]
    assert ["cosine", "0.846", "0.492", "0.143", "2.43e-09"] in rows
    assert ["cosine,", "zero", "terminal", "SNR", "0.846", "0.492", "0.143", "0"] in rows


def test_betas_of_ones_own(plot):
    flags = ["--names", "linear", "--num-timesteps", "9", "--zero-terminal-snr", "false"]
    _, printed = plot(*flags, "--betas", "0.5", "0.5", "0.5", "0.5")
    rows = [line.split() for line in printed.splitlines()]
    assert ["explicit", "0.25", "0.125", "0.0625", "0.0625"] in rows
    assert "zero terminal SNR" not in printed


def test_zero_terminal_snr_is_the_second_of_each_name():
    versions = schedules_of(PlotSchedulesSettings(num_timesteps=10))
    assert list(versions) == ["linear", "scaled_linear", "cosine"]
    assert all(plain.alphas_cumprod[-1] > 0 for plain, _ in versions.values())
    assert all(zero.alphas_cumprod[-1] == 0 for _, zero in versions.values())


def test_curves_are_alphas_cumprod_and_log_snr():
    versions = schedules_of(PlotSchedulesSettings(num_timesteps=10))
    axes = Figure().subplots(1, 2)
    draw_curves(*axes, versions)
    for k, schedule in enumerate(schedule for pair in versions.values() for schedule in pair):
        ac = schedule.alphas_cumprod.numpy()
        signal, ratio = (panel.lines[k] for panel in axes)
        np.testing.assert_allclose(signal.get_xdata(), np.arange(1, 11) / 10, rtol=1e-6)
        np.testing.assert_allclose(signal.get_ydata(), ac)
        with np.errstate(divide="ignore"):
            np.testing.assert_allclose(ratio.get_ydata(), np.log(ac / (1 - ac)))
        assert signal.get_color() == ratio.get_color() == f"C{k // 2}"
        assert signal.get_linestyle() == ratio.get_linestyle() == ("-", "--")[k % 2]
    labels = [text.get_text() for text in axes[0].get_legend().get_texts()]
    assert labels == ["linear", "scaled_linear", "cosine", "zero terminal SNR"]


def test_picture_file_is_what_is_shown(tmp_path):
    Image.new("RGB", (20, 20), (255, 0, 51)).save(tmp_path / "red.png")
    settings = PlotSchedulesSettings(
        picture=str(tmp_path / "red.png"), data=DataConfig(image_size=8)
    )
    expected = torch.tensor([1.0, -1.0, -0.6])[:, None, None].expand(3, 8, 8)
    torch.testing.assert_close(load_picture(settings), expected)


def test_strip_is_the_picture_with_one_noise_at_rising_levels():
    schedule, axes = NoiseSchedule.linear(1000), Figure().subplots()
    draw_strip(axes, "linear", schedule, torch.full((3, 8, 8), 0.5), 3)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["t = 0", "t = 500", "t = 999"]
    strip = torch.tensor(np.asarray(axes.images[0].get_array())) * 2 - 1
    first, *noised = [strip[:, start : start + 8] for start in (0, 10, 20)]
    x_0, zeros = torch.full((1, 8, 8, 3), 0.5), torch.zeros(1, 8, 8, 3)
    at_0 = torch.tensor([0])
    eps = (first - schedule.add_noise(x_0, zeros, at_0)) / schedule.at("noise", at_0, x_0)
    for t, tile in zip((500, 999), noised, strict=True):
        expected = schedule.add_noise(x_0, eps, torch.tensor([t])).clamp(-1, 1)[0]
        torch.testing.assert_close(tile, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("num_steps", [2, 8])
def test_a_short_schedule_shows_each_step_once(num_steps):
    axes = Figure().subplots()
    draw_strip(axes, "linear", NoiseSchedule.linear(2), torch.zeros(3, 8, 8), num_steps)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["t = 0", "t = 1"]


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        (["--names", "cosin"], 2, "--names: names.0: Input should be 'linear', 'scaled_linear' or"),
        (["--betas", "0.1", "1.5"], 2, "--betas: betas.1: Input should be less than 1"),
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
