"""Schedules that are compared, and what is drawn of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from textdiff.data import DataConfig
from textdiff.diffusion import NoiseSchedule
from textdiff.evaluation.schedules.compare import compared_schedules, load_picture
from textdiff.evaluation.schedules.plot import draw_curves, draw_strip

Figure = pytest.importorskip("matplotlib.figure").Figure
NAMES = ("linear", "scaled_linear", "cosine")


def test_each_schedule_has_a_version_of_zero_terminal_snr():
    schedules = compared_schedules(NAMES, 10)
    assert tuple(each.name for each in schedules) == NAMES
    assert all(each.schedule.alphas_cumprod[-1] > 0 for each in schedules)
    assert all(each.zero_terminal.alphas_cumprod[-1] == 0 for each in schedules)


def test_betas_of_ones_own_stand_beside():
    linear, own = compared_schedules(["linear"], 9, (0.5, 0.5), zero_terminal_snr=False)
    assert (own.name, own.schedule.alphas_cumprod.tolist()) == ("explicit", [0.5, 0.25])
    assert linear.zero_terminal is own.zero_terminal is None


def test_curves_are_alphas_cumprod_and_log_snr():
    schedules = compared_schedules(NAMES, 10)
    axes = Figure().subplots(1, 2)
    draw_curves(*axes, schedules)
    versions = [v for each in schedules for v in (each.schedule, each.zero_terminal)]
    for k, schedule in enumerate(versions):
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
    found = load_picture(DataConfig(image_size=8), 0, str(tmp_path / "red.png"))
    expected = torch.tensor([255, 0, 51], dtype=torch.uint8)[:, None, None].expand(3, 8, 8)
    assert torch.equal(found, expected)


def test_strip_is_the_picture_with_one_noise_at_rising_levels():
    schedule, axes = NoiseSchedule.linear(1000), Figure().subplots()
    draw_strip(axes, "linear", schedule, torch.full((3, 8, 8), 204, dtype=torch.uint8), 3)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["t = 0", "t = 500", "t = 999"]
    strip = torch.tensor(np.asarray(axes.images[0].get_array())) * 2 - 1
    first, *noised = [strip[:, start : start + 8] for start in (0, 10, 20)]
    x_0, zeros = torch.full((1, 8, 8, 3), 0.6), torch.zeros(1, 8, 8, 3)
    at_0 = torch.tensor([0])
    eps = (first - schedule.add_noise(x_0, zeros, at_0)) / schedule.at("noise", at_0, x_0)
    for t, tile in zip((500, 999), noised, strict=True):
        expected = schedule.add_noise(x_0, eps, torch.tensor([t])).clamp(-1, 1)[0]
        torch.testing.assert_close(tile, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("num_steps", [2, 8])
def test_a_short_schedule_shows_each_step_once(num_steps):
    axes, black = Figure().subplots(), torch.zeros(3, 8, 8, dtype=torch.uint8)
    draw_strip(axes, "linear", NoiseSchedule.linear(2), black, num_steps)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["t = 0", "t = 1"]
