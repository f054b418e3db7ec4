"""Errors of known pictures, and of the shapes that go to noise and back."""

from __future__ import annotations

import weakref

import numpy as np
import pytest
import torch

from tests.helpers.protocols import DATA, MODEL
from textdiff.data import DataConfig, open_data
from textdiff.errors import UsageError
from textdiff.evaluation.inversion.measure import (
    Inversion,
    grids_of,
    last_of,
    psnr_of,
    result_of,
    rmse_of,
    there_and_back,
)
from textdiff.evaluation.inversion.result import InversionProtocol, InversionResult
from textdiff.evaluation.pictures import PromptedPictures, real_pictures
from textdiff.evaluation.results import from_json, to_json
from textdiff.sampling.base import Step
from textdiff.types import Prediction


@pytest.fixture
def real(pipe, shapes) -> PromptedPictures:
    """Three of the shapes."""
    data = open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "train")
    return real_pictures(data, 3, 0, pipe)


def test_errors_of_known_pictures():
    pictures = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    again = torch.full((2, 3, 4, 4), -1.0)
    again[0] += 2 / 255 * 10  # ten grey levels off
    again[1, :, :2] += 2.0  # half of the pixels white
    rmse = rmse_of(pictures, again)
    assert rmse.tolist() == pytest.approx([10, 255 / 2**0.5])
    assert psnr_of(rmse).tolist() == pytest.approx([20 * np.log10(25.5), 10 * np.log10(2)])


@pytest.mark.slow
def test_more_steps_come_closer(pipe, real):
    grids = grids_of(pipe.schedule, [3, 20, 100], "trailing")
    inversions = [there_and_back(pipe, real, grid, batch_size=4) for grid in grids.values()]
    rmse = [rmse_of(real.images, each.again).mean().item() for each in inversions]
    assert rmse[0] > 1.5 * rmse[1] > 1.5**2 * rmse[2]


def test_batch_size_changes_nothing(pipe, real):
    grid = grids_of(pipe.schedule, [5], "trailing")[5]
    one, other = (there_and_back(pipe, real, grid, size) for size in (2, 3))
    torch.testing.assert_close(one.noise, other.noise, rtol=1e-4, atol=1e-4)
    # rounding grows on the way back, which is not clipped: up to an eighth of a grey level
    torch.testing.assert_close(one.again, other.again, rtol=1e-4, atol=1e-3)


def test_grids_by_number_of_steps(pipe):
    grids = grids_of(pipe.schedule, [2, 4], "linspace")
    assert {count: grid.tolist() for count, grid in grids.items()} == {
        2: [0, 99],
        4: [0, 33, 66, 99],
    }


def test_more_steps_than_the_schedule_has(pipe):
    with pytest.raises(UsageError, match=r"num_steps must lie in 1\.\.100"):
        grids_of(pipe.schedule, [5, 101], "trailing")


@pytest.fixture
def result() -> InversionResult:
    """Two black pictures, ten and twenty levels off, from noise of deviation 0.5."""
    pictures, noise = torch.zeros(2, 3, 2, 2, dtype=torch.uint8), torch.zeros(2, 3, 2, 2)
    noise[0] += 1.0
    again = torch.full((2, 3, 2, 2), -1.0)
    again += torch.tensor([10.0, 20.0]).view(2, 1, 1, 1) * 2 / 255
    real = PromptedPictures(["red apple", "blue kite"], pictures)
    return result_of(real, [Inversion(num_steps=5, noise=noise, again=again)])


def test_means_over_pictures(result):
    trip = result.round_trips["5"]
    assert result.pictures == 2
    assert (trip.rmse.value, trip.rmse.low, trip.rmse.high) == pytest.approx((15, 10, 20))
    assert trip.psnr.value == pytest.approx(20 * np.log10(255 / np.sqrt(10 * 20)))
    assert trip.noise_std == pytest.approx((6 / 23) ** 0.5)  # 12 ones, 12 zeros; divisor n - 1


def test_keys_on_disk(result):
    content = to_json(result)
    assert content.keys() == {"pictures", "results", "per_item"}
    assert content["results"]["5"].keys() == {"rmse", "psnr", "noise_std"}
    assert to_json(from_json(InversionResult, content)) == content


def test_estimates_name_the_steps(result):
    estimates = dict(result.estimates())
    assert list(estimates) == ["5 steps, RMSE", "5 steps, PSNR"]
    assert estimates["5 steps, RMSE"] == result.round_trips["5"].rmse


def test_keys_of_the_protocol_on_disk():
    protocol = InversionProtocol(picture_seed=0, spacing="trailing", model=MODEL, data=DATA)
    content = to_json(protocol)
    assert list(content) == [
        *("metric", "picture_seed", "guidance_scale", "threshold", "spacing", "model", "data")
    ]
    assert (content["guidance_scale"], content["threshold"]) == (1.0, "none")
    assert from_json(InversionProtocol, content) == protocol


def test_the_last_step_is_the_only_one_kept():
    kept = weakref.WeakSet()

    def steps():
        for index in reversed(range(5)):
            x_t = torch.full((1, 3, 2, 2), float(index))
            kept.add(x_t)
            yield Step(index, index, x_t, Prediction(x_t, x_t))
            del x_t
            assert len(kept) <= 2

    assert last_of(steps()).unique().tolist() == [0.0]


def test_errors_of_single_pictures_are_kept(result):
    kept = result.per_item["5"]
    assert kept.items == ["red apple", "blue kite"]
    assert kept.values["rmse"] == pytest.approx([10, 20])
    assert kept.values["psnr"] == pytest.approx([20 * np.log10(25.5), 20 * np.log10(12.75)])
