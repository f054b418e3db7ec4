"""`textdiff inversion`: the error it measures, its table, JSON and picture, bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from textdiff.commands import cli
from textdiff.commands.inversion import errors, there_and_back
from textdiff.data import DataConfig, open_data
from textdiff.errors import UsageError
from textdiff.evaluation.drawn import real_pictures
from textdiff.sampling import timestep_grid

FEW = ["--num-pictures", "3", "--split", "train", "--num-steps", "5", "20"]


@pytest.fixture
def measure(tiny_run, shapes, tmp_path, capsys):
    """Runs the command; returns its JSON and what it printed."""

    def run(*flags: str) -> tuple[dict, str]:
        path = tmp_path / "numbers.json"
        data = ["--data.source", str(shapes), "--data.image-size", "16", "--data.min-side", "4"]
        arguments = ["inversion", "--model", str(tiny_run), *data, *FEW, *flags]
        cli.run([*arguments, "--json", str(path)])
        return json.loads(path.read_text()), capsys.readouterr().out

    return run


def test_errors_of_known_pictures():
    pictures = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    again = torch.full((2, 3, 4, 4), -1.0)
    again[0] += 2 / 255 * 10  # ten grey levels off
    again[1, :, :2] += 2.0  # half of the pixels white
    found = errors(pictures, again)
    assert found["rmse"].tolist() == pytest.approx([10, 255 / 2**0.5])
    assert found["psnr"].tolist() == pytest.approx([20 * np.log10(25.5), 10 * np.log10(2)])


def test_more_steps_come_closer(pipe, shapes):
    data = open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "train")
    real = real_pictures(data, 4, 0, pipe)
    rmse = [
        there_and_back(pipe, real, timestep_grid(pipe.schedule, count), batch_size=4)[1]
        for count in (5, 20, 80)
    ]
    rmse = [errors(real.images, again)["rmse"].mean().item() for again in rmse]
    assert rmse[0] > 1.5 * rmse[1] > 1.5**2 * rmse[2]


def test_batch_size_changes_nothing(pipe, shapes):
    data = open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "train")
    real, grid = real_pictures(data, 3, 0, pipe), timestep_grid(pipe.schedule, 5)
    for one, other in zip(
        there_and_back(pipe, real, grid, 2), there_and_back(pipe, real, grid, 3), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_numbers_tell_their_protocol(measure, tiny_run):
    found, _ = measure()
    assert (found["pictures"], found["guidance_scale"], found["threshold"]) == (3, 1.0, "none")
    assert found["model"]["name"] == str(tiny_run)
    assert found["data"]["split"] == "train"
    assert found["results"].keys() == {"5", "20"}
    for numbers in found["results"].values():
        assert numbers["rmse"]["low"] <= numbers["rmse"]["mean"] <= numbers["rmse"]["high"]


def test_table_shows_a_row_per_number_of_steps(measure):
    found, shown = measure()
    for count, numbers in found["results"].items():
        (row,) = (line for line in shown.splitlines() if f" {count} " in line and "│" in line)
        assert f"{numbers['rmse']['mean']:.2f}" in row
        assert f"{numbers['psnr']['mean']:.2f}" in row


def test_picture_shows_original_noise_and_reconstruction(measure, tmp_path):
    path = tmp_path / "grid.png"
    measure("--grid", str(path), "--grid-pictures", "2")
    with Image.open(path) as grid:
        assert 5 * 96 < grid.width < 6 * 96
        assert 2 * 96 < grid.height < 4 * 96


def test_more_steps_than_the_schedule_has(measure, tmp_path):
    with pytest.raises(UsageError, match=r"num_steps must lie in 1\.\.100"):
        measure("--num-steps", "101")
    assert not Path(tmp_path / "numbers.json").exists()


def test_no_steps(measure):
    with pytest.raises(UsageError, match=r"--num-steps: .*greater than or equal to 1"):
        measure("--num-steps", "0")
