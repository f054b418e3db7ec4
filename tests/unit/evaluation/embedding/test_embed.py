"""`textdiff embed`: unit features of the CLIP, and the same bytes by two processes."""

from __future__ import annotations

import shutil

import pytest
import torch
from torch.nn.functional import normalize

from tests.helpers.two_processes import run_in_two_processes
from textdiff.clip import ClipModel
from textdiff.clip.features import image_features, text_features
from textdiff.commands.cli import run
from textdiff.data import DataConfig, open_data
from textdiff.data.embeddings import read_embeddings


def test_embeddings_are_unit_features_of_the_clip(tiny_clip, tiny_embeddings, shapes):
    clip, found = ClipModel.load(tiny_clip).freeze(), read_embeddings(tiny_embeddings)
    data = open_data(DataConfig(source=str(shapes), image_size=16, min_side=4), "all")
    images = normalize(image_features(clip, data.images(range(16))), dim=1)
    texts = normalize(text_features(clip, data.all_captions), dim=1)
    torch.testing.assert_close(found.image, images)
    torch.testing.assert_close(found.text_of(data.all_captions), texts)
    assert (found.identifiers, found.captions) == (data.identifiers, data.captions)
    assert found.splits == data.splits
    assert found.space.clip_weights == clip.weights_hash()
    assert found.source["fingerprint"] == data.fingerprint


def test_an_image_that_cannot_be_used_is_left_out(tiny_clip, shapes, tmp_path):
    folder = shutil.copytree(shapes, tmp_path / "one_bad")
    (folder / "red-circle.png").write_bytes(b"no image")
    flags = ["--data", str(folder), "--data.max-bad-fraction", "0.1", "--feature-cache", "off"]
    run(["embed", "--clip", str(tiny_clip), *flags, "--out", str(tmp_path / "e.safetensors")])
    found = read_embeddings(tmp_path / "e.safetensors")
    assert len(found) == 15
    assert "red-circle.png" in found.bad
    assert "red-circle.png" not in found.identifiers


@pytest.mark.slow
def test_two_processes_write_the_bytes_of_one(tiny_clip, tiny_embeddings, shapes, tmp_path):
    flags = ["--data", str(shapes), "--feature-cache", "off", "--out", str(tmp_path / "two")]
    run_in_two_processes([["embed", "--clip", str(tiny_clip), *flags]], tmp_path)
    assert (tmp_path / "two").read_bytes() == tiny_embeddings.read_bytes()
