"""Which clean CLIP a noised one is compared with."""

from __future__ import annotations

from pathlib import Path

import pytest

from textdiff.clip import ClipModel
from textdiff.errors import CheckpointError, UsageError
from textdiff.evaluation.noised_clip.clips import load_pair


@pytest.fixture
def noised_folder(noised, tmp_path) -> Path:
    noised.save(tmp_path / "noised")
    return tmp_path / "noised"


def with_source(noised, folder, source: str | None):
    """A folder of the noised CLIP that says it was fine-tuned from `source`."""
    noised.config = noised.config.model_copy(update={"source": source})
    noised.save(folder)
    return str(folder)


def test_the_one_it_was_fine_tuned_from(noised_folder, tiny_clip):
    pair = load_pair(str(noised_folder), None)
    assert pair.clean_name == str(tiny_clip)
    assert pair.clean.weights_hash() == ClipModel.load(tiny_clip).weights_hash()
    assert not any(p.requires_grad for p in [*pair.clean.parameters(), *pair.noised.parameters()])


def test_one_that_is_named(noised_folder, noised):
    pair = load_pair(str(noised_folder), str(noised_folder / "clean"))
    assert pair.clean.weights_hash() == noised.clean().weights_hash()


def test_a_clip_without_timesteps(tiny_clip):
    with pytest.raises(CheckpointError, match=r"has no noised\.yaml"):
        load_pair(str(tiny_clip), None)


def test_a_source_that_has_changed(noised, tiny_clip, tmp_path):
    other = ClipModel.load(tiny_clip)
    other.model.logit_scale.data.fill_(1.0)
    other.save(tmp_path / "other")
    moved = with_source(noised, tmp_path / "moved", str(tmp_path / "other"))
    with pytest.raises(CheckpointError, match="name that one with --clean"):
        load_pair(moved, None)


def test_a_source_that_is_not_known(noised, tmp_path):
    silent = with_source(noised, tmp_path / "silent", None)
    with pytest.raises(UsageError, match="does not say what it was fine-tuned from; give --clean"):
        load_pair(silent, None)
