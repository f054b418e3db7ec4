"""The data of a run, for what is measured of it."""

from __future__ import annotations

import pytest

from textdiff.config import to_yaml
from textdiff.data import DataConfig
from textdiff.data.config import fit_data
from textdiff.data.of_run import data_of_run, trained_on
from textdiff.errors import UsageError
from textdiff.training.settings.clip import TrainClipSettings


@pytest.fixture
def trained(shapes) -> DataConfig:
    return DataConfig(
        source=str(shapes), image_size=16, min_side=4, val_fraction=0.2, resize="stretch"
    )


@pytest.fixture
def run(trained, tmp_path) -> str:
    """A run folder, as far as its data are concerned."""
    settings = TrainClipSettings(run_dir="runs/own", data=trained)
    (tmp_path / "run" / "clip").mkdir(parents=True)
    (tmp_path / "run" / "config.yaml").write_text(to_yaml(settings))
    return str(tmp_path / "run")


def test_all_of_them_unless_something_is_set(run, trained):
    assert data_of_run(DataConfig(), "--clip", run) == trained
    changed = data_of_run(DataConfig(max_images=3), "--clip", run)
    assert changed == trained.model_copy(update={"max_images": 3})


def test_the_same_source_keeps_its_splits(run, trained):
    given = DataConfig(source=trained.source)
    assert data_of_run(given, "--clip", run) == trained


def test_of_another_source_pictures_of_the_runs_kind(run, tmp_path):
    data = data_of_run(DataConfig(source=str(tmp_path)), "--clip", run)
    assert (data.source, data.image_size, data.resize) == (str(tmp_path), 16, "stretch")
    assert (data.val_fraction, data.min_side) == (0.05, 8)


def test_a_part_of_a_run_has_its_data(run, trained):
    assert data_of_run(DataConfig(), "--clip", f"{run}/clip") == trained
    assert data_of_run(DataConfig(), "--clip", f"local-dir:{run}") == trained


@pytest.mark.parametrize("folder", ["exported", "ViT-B-32/openai"])
def test_what_does_not_know_its_data_must_be_told(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exported").mkdir()
    with pytest.raises(UsageError, match=f"--model {folder} has no config.yaml .* --data path"):
        data_of_run(DataConfig(image_size=16), "--model", folder)
    told = DataConfig(source="openmoji")
    assert data_of_run(told, "--model", folder) is told


def test_data_that_are_no_longer_there(run, trained, tmp_path):
    moved = trained.model_copy(update={"source": "photos"})
    settings = TrainClipSettings(run_dir="runs/own", data=moved)
    (tmp_path / "run" / "config.yaml").write_text(to_yaml(settings))
    with pytest.raises(UsageError, match=r"--clip .* was trained on 'photos', .* --data path"):
        data_of_run(DataConfig(), "--clip", run)


def test_a_size_that_the_model_does_not_have_is_refused(run):
    data = data_of_run(DataConfig(image_size=32), "--model", run)
    with pytest.raises(UsageError, match=r"--data.image-size 32, but --model a .* give 16"):
        fit_data(data, 16, "--model a")
    assert fit_data(data_of_run(DataConfig(), "--model", run), 16, "--model a").image_size == 16


def test_what_a_run_was_trained_on(run, trained, tmp_path):
    assert trained_on(run, trained)
    assert trained_on(f"{run}/clip", DataConfig(source=f"{trained.source}/."))
    assert not trained_on(run, DataConfig(source="openmoji"))
    assert not trained_on(str(tmp_path), trained)
    assert not trained_on("ViT-B-32/openai", trained)
