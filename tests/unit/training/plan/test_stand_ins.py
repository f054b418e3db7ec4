"""What stands in for data and weights that are not here."""

from __future__ import annotations

import pytest

from textdiff.clip import ClipModel
from textdiff.data import open_data
from textdiff.errors import UsageError
from textdiff.training.plan import stand_ins
from textdiff.training.plan.stand_ins import with_stand_ins
from textdiff.training.settings.prior import TrainPriorSettings
from textdiff.training.settings.text_to_image import TrainSettings
from textdiff.vae import Vae, VaeConfig

DATA = {"source": "own/photos", "image_size": 24}


def test_what_is_here_stays(tiny_clip, tiny_vae, tmp_path):
    settings = TrainSettings(clip=str(tiny_clip), codec=str(tiny_vae), run_dir="r", data=DATA)
    found, notes = with_stand_ins("train", settings, tmp_path, without_data=False)
    assert found == settings and notes == []


def test_noise_stands_in_for_pictures_with_captions_of_a_whole_context(tiny_clip, tmp_path):
    settings = TrainSettings(clip=str(tiny_clip), run_dir="r", data=DATA)
    found, notes = with_stand_ins("train", settings, tmp_path, without_data=True)
    data, clip = open_data(found.data), ClipModel.load(tiny_clip)
    assert data.image(0).shape == (3, 24, 24)
    assert clip.tokenize(data.all_captions).num_truncated == len(data.all_captions) > 16
    assert len(set(data.all_captions)) == len(data)
    assert notes == [
        "noise stands in for the pictures, captions fill the text tower's context",
    ]


def test_random_weights_stand_in_for_those_of_the_hub(tmp_path, monkeypatch):
    small = VaeConfig(block_channels=(8, 8, 8, 8), norm_groups=4)
    monkeypatch.setattr(stand_ins, "STABLE_DIFFUSION", small)
    names = {"clip": "ViT-L-14/openai", "codec": "some/autoencoder"}
    settings = TrainSettings(**names, run_dir="r", data=DATA)
    found, notes = with_stand_ins("train", settings, tmp_path, without_data=False)
    assert found.clip == "ViT-L-14/random"
    assert Vae.load(found.codec).latent_shape(24) == (4, 3, 3)
    assert [name for name, note in zip(names, notes, strict=True) if names[name] in note] == [
        *names
    ]


def test_stable_diffusions_shape_is_that_of_its_autoencoder():
    """84M parameters, f 8, 4 channels (Rombach et al., arXiv 2112.10752, and its weights)."""
    import torch

    with torch.device("meta"):
        network = Vae.build(stand_ins.STABLE_DIFFUSION, 0)
    assert sum(p.numel() for p in network.parameters()) == 83_653_863
    assert (stand_ins.STABLE_DIFFUSION.factor, stand_ins.STABLE_DIFFUSION.latent_channels) == (8, 4)


@pytest.mark.parametrize(
    ("task", "settings"),
    [
        ("train", TrainSettings(clip="c", run_dir="r", embeddings="e")),
        ("train-prior", TrainPriorSettings(run_dir="r", embeddings="e")),
    ],
)
def test_nothing_stands_in_for_embeddings(task, settings, tmp_path):
    with pytest.raises(UsageError, match="--embeddings belong to real pictures"):
        with_stand_ins(task, settings, tmp_path, without_data=True)
