"""`textdiff ckpt list|info|verify|export`."""

from __future__ import annotations

import json
import shutil

import pytest
import torch

from tests.helpers.damage import DAMAGE
from textdiff import TextToImage, checkpoint
from textdiff.clip import ClipModel
from textdiff.clip.noised import NoisedClip
from textdiff.commands.cli import run
from textdiff.errors import CheckpointError, UsageError
from textdiff.evaluation.noised_clip.clips import load_pair
from textdiff.pipeline.prior import Prior
from textdiff.vae import Vae


def test_list_shows_steps_and_losses(tiny_run, tmp_path, capsys):
    run(["ckpt", "list", str(tiny_run), "--json", str(tmp_path / "list.json")])
    shown = capsys.readouterr().out
    found = json.loads((tmp_path / "list.json").read_text())["checkpoints"]
    assert [each["step"] for each in found] == [6, 4]
    assert f"{found[0]['loss']:.4g}" in shown


def test_info_shows_files_and_settings(tiny_run, capsys):
    run(["ckpt", "info", str(tiny_run), "--step", "4"])
    shown = capsys.readouterr().out
    assert "step-000004" in shown
    assert "fixed.schedule.name" in shown
    assert "cosine" in shown
    assert "unet.safetensors" in shown


def test_verify_ends_with_4_and_names_the_file(run_copy, capsys):
    run(["ckpt", "verify", str(run_copy)])
    assert capsys.readouterr().out.count("as written") == 4
    for name in ("ema", "optimizer"):
        DAMAGE["bit flipped"](run_copy / "checkpoints" / "step-000004" / f"{name}.safetensors")
    with pytest.raises(CheckpointError, match=r"ema\.safetensors differs from .* damaged$"):
        run(["ckpt", "verify", str(run_copy)])


@pytest.mark.parametrize("step", [4, 6])
def test_export_of_a_model_has_the_averages_of_its_step(tiny_run, tmp_path, step):
    run(["ckpt", "export", str(tiny_run), "--step", str(step), "--out", str(tmp_path / "out")])
    weights = TextToImage.load(tmp_path / "out").unet.state_dict()
    folder = tiny_run / "checkpoints" / f"step-{step:06d}"
    averages = checkpoint.load_tensors(folder / "ema.safetensors")
    assert all(torch.equal(weights[name], averages[name]) for name in averages)
    run(["ckpt", "verify", str(tmp_path / "out")])


@pytest.mark.parametrize(
    ("fixture", "kind"),
    [("tiny_clip", ClipModel), ("noised_with_clean", NoisedClip), ("tiny_prior", Prior)],
)
def test_export_of_other_kinds(request, tmp_path, fixture, kind):
    folder = request.getfixturevalue(fixture)
    run(["ckpt", "export", str(folder), "--out", str(tmp_path / "out")])
    assert kind.load(tmp_path / "out").weights_hash() == kind.load(folder).weights_hash()


@pytest.mark.parametrize("step", [4, 6])
def test_export_of_a_vae_has_the_averages_and_the_scale_of_its_own_step(
    tiny_vae_run, tmp_path, capsys, step
):
    out = tmp_path / "out"
    run(["ckpt", "export", str(tiny_vae_run), "--step", str(step), "--out", str(out)])
    vae, newest = Vae.load(out), Vae.load(tiny_vae_run)
    folder = tiny_vae_run / "checkpoints" / f"step-{step:06d}"
    averages = checkpoint.load_tensors(folder / "ema.safetensors")
    for name, tensor in vae.network.state_dict().items():
        assert torch.equal(tensor, averages[f"autoencoder.{name}"])
    assert (vae.identity == newest.identity) == (step == 6)
    shown = capsys.readouterr().out
    if step == 6:
        assert vae.space == newest.space and "measured" not in shown
    else:
        assert vae.statistics is None
        assert f"textdiff vae --vae {out} --data DATA --data.image-size 16 --out" in shown
    run(["ckpt", "verify", str(out)])


def test_a_damaged_export_does_not_keep_a_vae_from_being_exported(tiny_vae_run, tmp_path):
    folder = shutil.copytree(tiny_vae_run, tmp_path / "run")
    DAMAGE["bit flipped"](folder / "vae" / "diffusion_pytorch_model.safetensors")
    run(["ckpt", "export", str(folder), "--out", str(tmp_path / "out")])
    assert Vae.load(tmp_path / "out").identity == Vae.load(tiny_vae_run).identity


def test_a_noised_clip_whose_vae_is_damaged_leaves_nothing_half(latent_noised, tmp_path):
    folder = shutil.copytree(latent_noised, tmp_path / "run")
    DAMAGE["bit flipped"](folder / "vae" / "diffusion_pytorch_model.safetensors")
    with pytest.raises(CheckpointError):
        run(["ckpt", "export", str(folder), "--out", str(tmp_path / "out")])
    assert not any((tmp_path / "out").glob("*"))


def test_export_of_a_noised_clip_of_latents_has_their_vae(latent_noised, tmp_path):
    run(["ckpt", "export", str(latent_noised), "--out", str(tmp_path / "out")])
    pair = load_pair(str(tmp_path / "out"), None)
    assert pair.codec.vae.space == Vae.load(latent_noised / "vae").space


@pytest.mark.parametrize(
    ("fixture", "kind", "damaged"),
    [
        ("tiny_clip", ClipModel, "open_clip_model.safetensors"),
        ("noised_with_clean", NoisedClip, "noised_clip.safetensors"),
        ("noised_with_clean", NoisedClip, "clean/open_clip_model.safetensors"),
    ],
)
@pytest.mark.parametrize("damage", ["bit flipped", "deleted"])
def test_a_damaged_export_does_not_keep_a_checkpoint_from_being_exported(
    request, tmp_path, fixture, kind, damaged, damage
):
    whole = request.getfixturevalue(fixture)
    folder = shutil.copytree(whole, tmp_path / "run")
    DAMAGE[damage](folder / damaged)
    with pytest.raises(CheckpointError):
        kind.load(folder)
    run(["ckpt", "export", str(folder), "--out", str(tmp_path / "out")])
    assert kind.load(tmp_path / "out").weights_hash() == kind.load(whole).weights_hash()


def test_export_writes_over_nothing(tiny_run, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="has files in it"):
        run(["ckpt", "export", str(tiny_run), "--out", str(tmp_path)])
