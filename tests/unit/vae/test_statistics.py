"""Statistics of latents: the scaling, its file, and what config.json of others says."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.golden import golden
from textdiff.errors import CheckpointError
from textdiff.vae import LatentStatistics
from textdiff.vae.statistics import LATENTS, read_statistics, statistics_of_config


def statistics(mean=(1.0, -2.0), std=(0.5, 3.0)) -> LatentStatistics:
    return LatentStatistics(torch.tensor(mean), torch.tensor(std), 7, "seven pictures", "abc")


def test_normalised_latents_have_mean_0_and_deviation_1():
    z = torch.randn(50, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    z = z * torch.tensor([0.5, 3.0]).view(2, 1, 1) + torch.tensor([1.0, -2.0]).view(2, 1, 1)
    channels = z.transpose(0, 1).flatten(1)
    measured = statistics(channels.mean(1).tolist(), channels.std(1).tolist())
    normalised = measured.normalise(z).transpose(0, 1).flatten(1)
    torch.testing.assert_close(normalised.mean(1), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(normalised.std(1), torch.ones(2))


@given(
    st.lists(st.floats(-100, 100), min_size=1, max_size=4),
    st.floats(0.01, 100),
    st.sampled_from([(), (3,), (2, 5)]),
)
def test_restoring_undoes_normalising(means, std, places):
    measured = statistics(means, [std] * len(means))
    z = torch.randn(2, len(means), *places, generator=torch.Generator().manual_seed(1))
    z = z.double()
    torch.testing.assert_close(measured.restore(measured.normalise(z)), z)


def test_one_factor_over_all_elements_is_the_golden_one():
    case = golden("vae_kl")["by_id"]["latent_scale"]
    latents = torch.tensor(case["inputs"]["latents"], dtype=torch.float64)
    by_column = LatentStatistics(latents.mean(0), latents.std(0, correction=0), 2, "", "")
    assert by_column.scaling_factor == pytest.approx(case["outputs"]["scaling_factor_ddof0"])
    of_all = LatentStatistics(torch.zeros(1), latents.std().reshape(1), 2, "", "")
    scaled = of_all.normalise(latents.view(2, 1, 4))
    torch.testing.assert_close(
        scaled.view(2, 4), torch.tensor(case["outputs"]["scaled"], dtype=torch.float64)
    )


def test_the_file_holds_all_of_it(tmp_path):
    statistics().save(tmp_path)
    read = read_statistics(tmp_path, channels=2, vae="abc")
    assert torch.equal(read.mean, statistics().mean) and torch.equal(read.std, statistics().std)
    assert (read.count, read.data, read.vae) == (7, "seven pictures", "abc")


def test_the_file_names_the_size_of_the_pictures_and_older_ones_need_not(tmp_path):
    replace(statistics(), image_size=64).save(tmp_path)
    assert read_statistics(tmp_path, channels=2, vae="abc").image_size == 64
    (tmp_path / LATENTS).write_text(spoilt())
    assert read_statistics(tmp_path, channels=2, vae="abc").image_size is None


@pytest.mark.parametrize(
    ("mean", "std", "channel"),
    [
        ((1.0, -2.0), (0.5, 3.0), None),
        ((2.0, 2.0), (1.4, 1.1), None),  # normalised: means 2 and 1.3, deviations 2.8 and 0.37
        ((1.0, -2.0), (0.5, 9.5), 1),
        ((1.0, -2.0), (0.1, 3.0), 0),
        ((3.0, -2.0), (0.5, 3.0), 0),
        ((1.0, -2.0), (0.5, float("nan")), 1),
    ],
)
def test_latents_of_another_scale_are_told_by_channel(mean, std, channel):
    told = statistics().misfit(torch.tensor(mean), torch.tensor(std))
    assert (told is None) == (channel is None)
    assert told is None or told.startswith(f"channel {channel} has mean ")


def test_no_file_is_none(tmp_path):
    assert read_statistics(tmp_path, channels=2, vae="abc") is None


def spoilt(**changes) -> str:
    whole = {"mean": [0.0, 0.0], "std": [1.0, 1.0], "count": 1, "data": "", "vae": "abc"}
    return json.dumps({**whole, **changes})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("no json", "cannot be read as statistics"),
        ("[]", "cannot be read as statistics"),
        (spoilt(mean="x"), "cannot be read as statistics"),
        (spoilt(std=[1.0]), "2 and 1 entries .* 2 latent channels"),
        (spoilt(std=[1.0, 0.0]), "every std must be above 0"),
        (spoilt(mean=[float("nan"), 0.0]), "above 0 and finite"),
        (spoilt(image_size=0), "image_size 0"),
        (spoilt(image_size=True), "image_size True"),
        (spoilt(vae="def"), "is of the VAE def, the weights beside it are abc"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path, content, message):
    (tmp_path / LATENTS).write_text(content)
    with pytest.raises(CheckpointError, match=message) as raised:
        read_statistics(tmp_path, channels=2, vae="abc")
    assert str(tmp_path) in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("options", "mean", "std"),
    [
        ({"scaling_factor": 0.25}, [0.0, 0.0], [4.0, 4.0]),
        ({"scaling_factor": 0.5, "shift_factor": 0.1}, [0.1, 0.1], [2.0, 2.0]),
        ({"scaling_factor": 0.5, "shift_factor": None}, [0.0, 0.0], [2.0, 2.0]),
        (
            {"scaling_factor": 1.0, "latents_mean": [1, 2], "latents_std": [3, 4]},
            [1.0, 2.0],
            [3.0, 4.0],
        ),
        (
            {"scaling_factor": 0.5, "latents_mean": [1, 2], "latents_std": [3, 4]},
            [1.0, 2.0],
            [6.0, 8.0],
        ),
    ],
)
def test_the_scale_of_another_project(options, mean, std):
    read = statistics_of_config(options, channels=2, vae="abc", where="config.json")
    torch.testing.assert_close(read.mean, torch.tensor(mean))
    torch.testing.assert_close(read.std, torch.tensor(std))
    z = torch.ones(1, 2, 1, 1)  # as diffusers' pipelines have it: (z - shift) * factor
    torch.testing.assert_close(
        read.normalise(z).flatten(), (1 - torch.tensor(mean)) / torch.tensor(std)
    )


def test_a_config_that_names_no_scale_has_none():
    assert statistics_of_config({}, channels=2, vae="abc", where="config.json") is None


@pytest.mark.parametrize(
    "options",
    [{"scaling_factor": 0}, {"scaling_factor": "x"}, {"latents_mean": [1], "latents_std": [1]}],
)
def test_a_config_whose_scale_is_none_is_refused(options):
    with pytest.raises(CheckpointError, match=r"config\.json"):
        statistics_of_config(options, channels=2, vae="abc", where="config.json")
