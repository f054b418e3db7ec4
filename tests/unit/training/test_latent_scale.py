"""A scale that a foreign config.json names is tried before diffusion relies on it."""

from __future__ import annotations

import pytest

from tests.helpers.vaes import TINY, foreign_vae
from textdiff.data import DataConfig, open_data
from textdiff.errors import CheckpointError
from textdiff.metrics.latents import measure_latents
from textdiff.training.latent_scale import check_scale
from textdiff.vae import LatentStatistics, Vae


@pytest.fixture
def data(shapes):
    return open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "train")


@pytest.fixture
def foreign(tmp_path):
    return Vae.load(foreign_vae(tmp_path / "foreign"))


def test_the_default_of_a_library_is_refused_where_it_does_not_fit(foreign, data, tmp_path):
    assert TINY.to_diffusers().get("scaling_factor") is None
    assert foreign.measured().scaling_factor == pytest.approx(0.18215)
    with pytest.raises(CheckpointError) as refused:
        check_scale(tmp_path / "run", foreign, data)
    said = str(refused.value)
    assert said.startswith(f"{foreign.source}: the scale of its latents, as ")
    assert "of 8 pictures" in said and "channel " in said and "\n" not in said
    source = data.config.source
    assert said.endswith(
        f"textdiff vae --vae {foreign.source} --data {source} --data.image-size 16 --out FOLDER"
    )


def test_once_measured_it_is_taken(foreign, data, tmp_path):
    foreign.statistics = measure_latents(foreign, data)
    check_scale(tmp_path / "run", foreign, data)
    assert not data.notes


def test_what_was_measured_on_other_pictures_is_noted(foreign, data, tmp_path):
    right = measure_latents(foreign, data)
    foreign.statistics = LatentStatistics(right.mean, 5 * right.std, 9, "photos", right.vae)
    check_scale(tmp_path / "run", foreign, data)
    (note,) = data.notes
    assert "as measured on photos" in note and "deviation 0.2" in note


def test_a_run_that_has_begun_goes_on(foreign, data, tmp_path):
    (tmp_path / "run/checkpoints/step-000001").mkdir(parents=True)
    check_scale(tmp_path / "run", foreign, data)
