"""A VAE beside diffusers' AutoencoderKL, its folder, and folders that cannot be used."""

from __future__ import annotations

import json
import shutil
from fnmatch import fnmatch
from pathlib import Path

import pytest
import torch

from tests.helpers.damage import forget
from tests.helpers.vaes import tiny_vae, vae_folder
from textdiff.errors import CheckpointError, UsageError
from textdiff.vae import Vae

IMAGES = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture
def folder(tmp_path):
    """Without a manifest, as other programs write it."""
    return forget(vae_folder(tmp_path / "vae"))


def edit(folder, name="config.json", **changes):
    path = folder / name
    values = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({key: v for key, v in values.items() if v != "left out"}))


def test_encoding_and_decoding_are_those_of_diffusers(folder):
    from diffusers import AutoencoderKL

    theirs, ours = AutoencoderKL.from_pretrained(folder).eval(), Vae.load(folder)
    posterior = ours.moments(IMAGES)
    with torch.no_grad():
        distribution = theirs.encode(IMAGES).latent_dist
        assert torch.equal(posterior.mean, distribution.mean)
        assert torch.equal(posterior.logvar, distribution.logvar)
        assert torch.equal(ours.decode(posterior.mean), theirs.decode(distribution.mean).sample)


def test_a_folder_that_diffusers_wrote_is_loaded(tmp_path):
    vae = tiny_vae()
    vae.network.save_pretrained(tmp_path / "vae")
    for place in (tmp_path / "vae", tmp_path):  # a pipeline's folder has it in vae/
        loaded = Vae.load(place)
        assert loaded.identity == vae.identity
        # save_pretrained names diffusers' default factor
        assert loaded.measured().std.tolist() == pytest.approx([1 / 0.18215] * 4)


def test_what_diffusers_makes_of_ours_is_another_programs(tmp_path):
    from diffusers import AutoencoderKL

    ours = vae_folder(tmp_path / "ours")
    network = AutoencoderKL.from_pretrained(ours)
    network.save_pretrained(tmp_path / "copy")
    with torch.no_grad():
        network.decoder.conv_out.bias.add_(1)
    network.save_pretrained(tmp_path / "tuned")
    assert Vae.load(tmp_path / "copy").identity == tiny_vae().identity
    assert Vae.load(tmp_path / "tuned").identity != tiny_vae().identity
    (ours / "manifest.json").unlink()
    with pytest.raises(CheckpointError, match=r"has no manifest\.json"):
        Vae.load(ours)


def test_one_of_ours_is_loaded_from_the_hub(tmp_path, monkeypatch):
    uploaded = vae_folder(tmp_path / "hub" / "vae").parent

    def snapshot_download(name, allow_patterns):
        for path in filter(Path.is_file, uploaded.rglob("*")):
            file = path.relative_to(uploaded)
            if any(fnmatch(str(file), pattern) for pattern in allow_patterns):
                (tmp_path / name / file.parent).mkdir(parents=True, exist_ok=True)
                shutil.copy(path, tmp_path / name / file)
        return str(tmp_path / name)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot_download)
    assert Vae.load("somebody/vae").measured().count == 10


def test_a_folder_that_is_saved_again_stays_as_it_is(tmp_path):
    folder = vae_folder(tmp_path)
    before = {path.name: path.stat().st_ino for path in folder.iterdir()}
    Vae.load(folder).save(folder)
    assert {path.name: path.stat().st_ino for path in folder.iterdir()} == before
    other = tiny_vae(1)
    other.statistics = None
    other.save(folder)
    assert Vae.load(folder).identity == other.identity and not (folder / "latents.json").exists()


def test_what_is_saved_is_loaded_frozen_with_its_statistics(folder):
    vae, saved = Vae.load(str(folder)), tiny_vae()
    assert vae.identity == saved.identity
    assert torch.equal(vae.measured().std, saved.measured().std)
    assert not vae.network.training
    assert not any(p.requires_grad for p in vae.network.parameters())


def test_diffusers_finds_the_scale_in_the_config(folder):
    from diffusers import AutoencoderKL

    config, statistics = AutoencoderKL.from_pretrained(folder).config, tiny_vae().measured()
    assert config.latents_mean is config.latents_std is None  # it would scale by both
    assert config.scaling_factor == pytest.approx(statistics.scaling_factor)


def test_gradients_flow_through_the_decoder():
    vae = tiny_vae()
    z = torch.zeros(1, 4, 4, 4, requires_grad=True)
    vae.decode(z).square().sum().backward()
    assert z.grad.abs().sum() > 0


def test_shapes_of_latents():
    vae = tiny_vae()
    assert (vae.factor, vae.latent_channels) == (4, 4)
    assert vae.latent_shape(16) == (4, 4, 4) == tuple(vae.moments(IMAGES).mean.shape[1:])


@pytest.mark.parametrize(("size", "near"), [(30, 32), (33, 32), (2, 4), (1, 4)])
def test_a_size_that_cannot_be_halved_often_enough_is_refused(size, near):
    with pytest.raises(UsageError, match=rf"{size} cannot be halved 2 times, .* such as {near}$"):
        tiny_vae().latent_shape(size)


def test_the_identity_is_that_of_the_weights():
    assert tiny_vae(0).identity == tiny_vae(0).identity != tiny_vae(1).identity


def test_statistics_are_asked_for_by_the_command_that_measures_them(folder):
    (folder / "latents.json").unlink()
    edit(folder, scaling_factor="left out")
    vae = Vae.load(folder)
    assert vae.statistics is None
    with pytest.raises(CheckpointError, match="no statistics of its latents") as raised:
        vae.measured()
    assert f"textdiff vae --vae {folder}" in str(raised.value)


def test_old_names_of_attention_are_understood(tmp_path):
    from safetensors.torch import load_file, save_file

    from textdiff.vae import VaeConfig

    network = Vae.build(VaeConfig(block_channels=(8, 8), norm_groups=4, attention=True), seed=0)
    network.save_pretrained(tmp_path)
    path = tmp_path / "diffusion_pytorch_model.safetensors"
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    tensors = load_file(path)
    for new, former in old.items():
        tensors = {name.replace(f".{new}.", f".{former}."): t for name, t in tensors.items()}
    assert any(".proj_attn." in name for name in tensors)
    save_file(tensors, path)
    loaded, own = Vae.load(tmp_path).network.state_dict(), network.state_dict()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in own.items())


def no_config(folder):
    (folder / "config.json").unlink()


def no_weights(folder):
    (folder / "diffusion_pytorch_model.safetensors").unlink()


def cut_weights(folder):
    path = folder / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (no_config, "no VAE in .* config.json"),
        (no_weights, "has no diffusion_pytorch_model.safetensors"),
        (cut_weights, "damaged or no safetensors"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be read as JSON"),
        (lambda folder: (folder / "config.json").write_text("[]"), "must hold the arguments"),
        (lambda folder: edit(folder, _class_name="AutoencoderTiny"), "describes a AutoencoderTiny"),
        (lambda folder: edit(folder, in_channels=1), "in_channels 1; pictures have 3"),
        (lambda folder: edit(folder, latent_channels=8), "config and weights disagree on"),
        (lambda folder: edit(folder, block_out_channels=[8, 8]), "diffusers cannot build|disagree"),
        (lambda folder: edit(folder, norm_num_groups=3), "diffusers cannot build"),
        (
            lambda folder: edit(folder, layers_per_block=10**6),
            "layers_per_block 1000000; .* 1 to 32",
        ),
        (lambda folder: edit(folder, layers_per_block=-1), "layers_per_block -1; .* 1 to 32"),
        (lambda folder: edit(folder, layers_per_block=True), "layers_per_block True; .* 1 to 32"),
        (lambda folder: edit(folder, latent_channels=10**9), "latent_channels 1000000000; .* 512"),
        (lambda folder: edit(folder, latent_channels=[4]), r"latent_channels \[4\]; a number"),
        (lambda folder: edit(folder, norm_num_groups=0), "norm_num_groups 0; .* 1 to 512"),
        (lambda folder: edit(folder, sample_size="large"), "sample_size large; .* 1 to 8192"),
        (lambda folder: edit(folder, block_out_channels=[8] * 99), "block_out_channels .* 12 lev"),
        (lambda folder: edit(folder, block_out_channels=[8, -8]), "block_out_channels .* 12 lev"),
        (lambda folder: edit(folder, block_out_channels=[]), r"block_out_channels \[\]; 1 to 12"),
        (lambda folder: edit(folder, block_out_channels=8), "block_out_channels 8; 1 to 12"),
        (lambda folder: (folder / "config.json").write_text("[" * 9**5), "nested too deeply"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused_in_one_line(folder, spoil, message):
    spoil(folder)
    with pytest.raises(CheckpointError, match=message) as raised:
        Vae.load(folder)
    assert str(folder) in str(raised.value) and "\n" not in str(raised.value)


def test_a_run_without_a_checkpoint_has_none_yet(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(CheckpointError, match="train it for longer"):
        Vae.load(tmp_path)


@pytest.mark.parametrize("source", ["/nowhere/vae", "./vae", "a/b/c"])
def test_no_such_folder(source):
    with pytest.raises(CheckpointError, match="no such folder"):
        Vae.load(source)


def test_a_hub_name_offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UsageError, match="no VAE at 'somebody/sd-vae-ft-mse'") as raised:
        Vae.load("somebody/sd-vae-ft-mse")
    assert "connect once, or give a local folder" in str(raised.value)
    assert "\n" not in str(raised.value)
