"""What stands in for data and weights that are not here."""

from __future__ import annotations

import pytest

from textdiff.clip import ClipModel
from textdiff.data import open_data
from textdiff.errors import CheckpointError, UsageError
from textdiff.training.plan import stand_ins
from textdiff.training.plan.stand_ins import with_stand_ins
from textdiff.training.settings.noised_clip import FinetuneClipSettings
from textdiff.training.settings.prior import TrainPriorSettings
from textdiff.training.settings.text_to_image import TrainSettings
from textdiff.training.settings.vae import TrainVaeSettings, VaeLossConfig
from textdiff.vae import Vae, VaeConfig

SMALL = VaeConfig(block_channels=(8, 8, 8, 8), norm_groups=4)
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
    monkeypatch.setattr(stand_ins, "STABLE_DIFFUSION", SMALL)
    names = {"clip": "ViT-L-14/openai", "codec": "some/autoencoder"}
    settings = TrainSettings(**names, run_dir="r", data=DATA)
    found, notes = with_stand_ins("train", settings, tmp_path, without_data=False)
    assert found.clip == "ViT-L-14/random"
    assert Vae.load(found.codec).latent_shape(24) == (4, 3, 3)
    assert [name for name, note in zip(names, notes, strict=True) if names[name] in note] == [
        *names
    ]


def test_a_vae_starts_from_one_of_the_hub_and_is_judged_by_a_clip_of_the_list(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(stand_ins, "STABLE_DIFFUSION", SMALL)
    loss = {"perceptual": "RN50/openai", "perceptual_weight": 0.5}
    settings = TrainVaeSettings(init="some/autoencoder", loss=loss, run_dir="r", data=DATA)
    found, notes = with_stand_ins("train-vae", settings, tmp_path, without_data=False)
    assert Vae.load(found.init).factor == 8
    assert found.loss == VaeLossConfig(perceptual="RN50/random", perceptual_weight=0.5)
    assert ["RN50/openai" in notes[0], "some/autoencoder" in notes[1]] == [True, True]


@pytest.mark.parametrize("perceptual", ["lpips", None])
def test_nothing_stands_in_for_other_distances(perceptual, tmp_path):
    settings = TrainVaeSettings(run_dir="r", loss={"perceptual": perceptual}, data=DATA)
    assert with_stand_ins("train-vae", settings, tmp_path, without_data=False) == (settings, [])


def test_the_models_own_vae_stands_in_for_the_same_of_the_hub(tmp_path):
    noise = {"schedule_from": "runs/latent"}
    settings = FinetuneClipSettings(
        init="c/d", codec="some/autoencoder", noise=noise, run_dir="r", data=DATA
    )
    found, notes = with_stand_ins("finetune-clip", settings, tmp_path, without_data=False)
    assert found.codec is None
    assert notes[1] == "the model's own VAE stands in for some/autoencoder, which must be the same"


@pytest.mark.parametrize(
    "name", ["runs/vea", "vae", "./runs/vae", "some/auto/encoder", "~/vae", "a/b--c"]
)
@pytest.mark.parametrize("task", ["train", "train-vae"])
def test_a_mistyped_vae_is_refused(name, task, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    of_task = {
        "train": TrainSettings(clip=".", codec=name, run_dir="r", data=DATA),
        "train-vae": TrainVaeSettings(init=name, run_dir="r", data=DATA),
    }
    with pytest.raises(CheckpointError, match=f"no VAE at {name}: no such folder, and no name of"):
        with_stand_ins(task, of_task[task], tmp_path, without_data=False)


def test_a_mistyped_clip_keeps_its_name(tmp_path, monkeypatch):
    """So that the training's own message names it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    settings = TrainSettings(clip="runs/clpi", run_dir="r", data=DATA)
    assert with_stand_ins("train", settings, tmp_path, without_data=False) == (settings, [])


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
