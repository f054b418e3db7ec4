"""A latent model in diffusers' own StableDiffusionPipeline: the same pictures from the same noise,
and what that pipeline cannot hold."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, StableDiffusionPipeline

from tests.helpers.vaes import tiny_vae
from textdiff.clip.config import ClipConfig
from textdiff.clip.model import ClipModel
from textdiff.commands.cli import run
from textdiff.diffusion import ScheduleConfig
from textdiff.errors import UsageError
from textdiff.interop.stable_diffusion import stable_diffusion_to_diffusers
from textdiff.models import UNet, UNetConfig
from textdiff.pipeline import ModelConfig, TextToImage

PROMPTS = ["a red circle!", "two green squares", "a prompt of more tokens than the tower has " * 3]
NEGATIVE = "a blue cross"
UNET = {
    "image_size": 4,
    "in_channels": 4,
    "block_channels": (8, 16),
    "attention": (False, True),
    "layers_per_block": 1,
    "head_dim": 8,
    "norm_groups": 4,
    "cross_attention_dim": 32,
}
TRAINED = {"text_padding": True, "prediction": "v"}


@pytest.fixture(scope="module")
def clip() -> ClipModel:
    image = {"image_size": 16, "patch_size": 8, "width": 32, "heads": 2, "layers": 1}
    text = {"context_length": 12, "width": 32, "heads": 2, "layers": 1}
    return ClipModel.build(ClipConfig(image=image, text=text, embed_dim=24), seed=0).freeze()


def model(clip: ClipModel, unet: dict | None = None, **config) -> TextToImage:
    """Of latents of 4 x 4 x 4, every weight of its U-Net random."""
    shape = UNetConfig(**UNET, **(unet or {}))
    torch.manual_seed(1)
    network = UNet(shape)
    for parameter in network.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    values = {"schedule": ScheduleConfig(name="cosine", num_timesteps=100), **TRAINED, **config}
    settings = ModelConfig(clip="clip", vae="vae", vae_factor=4, unet=shape, **values)
    return TextToImage(network, clip, settings, vae=tiny_vae()).freeze()


def levels(pictures) -> np.ndarray:
    return np.stack([np.asarray(picture, int) for picture in pictures])


@pytest.mark.parametrize("prediction", ["eps", "v", "x_0"])
def test_prompts_draw_the_same_pictures(clip, tmp_path, prediction):
    ours = model(clip, prediction=prediction)
    stable_diffusion_to_diffusers(ours, tmp_path)
    theirs = StableDiffusionPipeline.from_pretrained(tmp_path)
    theirs.set_progress_bar_config(disable=True)
    found = theirs(
        PROMPTS,
        negative_prompt=[NEGATIVE] * len(PROMPTS),
        num_inference_steps=10,
        guidance_scale=3.0,
        latents=ours.noise(len(PROMPTS), seed=2),
    ).images
    expected = ours(PROMPTS, num_steps=10, guidance_scale=3.0, negative_prompt=NEGATIVE, seed=2)
    drawn = levels(expected)
    assert np.abs(levels(found) - drawn).max() <= 2
    assert drawn.std() > 10 and np.abs(drawn[0] - drawn[1]).max() > 10  # pictures, of prompts


def test_the_folder_loads_by_its_index_and_holds_no_code(clip, tmp_path):
    stable_diffusion_to_diffusers(model(clip), tmp_path, sampler="dpmpp")
    theirs = DiffusionPipeline.from_pretrained(tmp_path)
    assert type(theirs) is StableDiffusionPipeline
    assert type(theirs.text_encoder).__name__ == "CLIPTextModel"
    assert theirs.vae.config.scaling_factor == 1
    assert theirs.scheduler.config.trained_betas[:2] == pytest.approx(
        model(clip).schedule.betas[:2].tolist()
    )
    assert not list(tmp_path.rglob("*.py"))
    saved = json.loads((tmp_path / "scheduler" / "scheduler_config.json").read_text())
    assert saved["steps_offset"] == 1


def test_diffusers_has_nothing_to_mend(clip, tmp_path):
    """It warns of a scheduler's config that it changes, and of a U-Net's."""
    stable_diffusion_to_diffusers(model(clip), tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        StableDiffusionPipeline.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("unet", "config", "message"),
    [
        ({}, {"text_padding": False}, "no mask of the text.*train with --text-padding true"),
        ({"pooled_dim": 24}, {}, "no pooled text feature.*train with --use-pooled false"),
        ({"cross_attention_dim": 64}, {"text_layers": (0, -1)}, r"text_layers \[0, -1\]"),
        ({"learned_variance": True}, {}, "learned a variance"),
        ({"patch_size": 2}, {}, "unet.patch_size 2"),
        ({"image_dim": 24}, {}, "decoder"),
    ],
)
def test_what_it_cannot_hold_is_refused_by_name(clip, tmp_path, unet, config, message):
    both = {**UNET, **unet}
    pipe = model(clip, {key: both[key] for key in unet if key not in UNET}, **config)
    if "cross_attention_dim" in unet:
        wide = pipe.config.unet.model_copy(update=unet)
        pipe = TextToImage(UNet(wide), clip, pipe.config.model_copy(update={"unet": wide}))
        pipe.vae = tiny_vae()
    with pytest.raises(UsageError, match=message):
        stable_diffusion_to_diffusers(pipe, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_pixels_are_for_another_pipeline(clip, tmp_path):
    config = ModelConfig(clip="clip", unet=UNetConfig(**{**UNET, "in_channels": 3}))
    with pytest.raises(UsageError, match="take --pipeline bundled"):
        stable_diffusion_to_diffusers(TextToImage(UNet(config.unet), clip, config), tmp_path)


@pytest.fixture
def saved(clip, tmp_path) -> Path:
    model(clip).save(tmp_path / "model")
    return tmp_path / "model"


def test_the_command_exports_a_saved_model(saved, tmp_path, capsys):
    out = tmp_path / "out"
    run(["export", "--model", str(saved), "--pipeline", "stock", "--out", str(out)])
    assert f'DiffusionPipeline.from_pretrained("{out}")' in capsys.readouterr().out
    assert "StableDiffusionPipeline" in (out / "README.md").read_text()
    StableDiffusionPipeline.from_pretrained(out)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([], "draws latents of a VAE; export it for StableDiffusionPipeline, --pipeline stock"),
        (["--pipeline", "stock", "--threshold", "static"], "latents have no bounds"),
        (["--pipeline", "stock", "--variance", "learned"], "no latent model has one"),
    ],
)
def test_choices_that_latents_do_not_have(saved, tmp_path, flags, message):
    with pytest.raises(UsageError, match=message):
        run(["export", "--model", str(saved), *flags, "--out", str(tmp_path / "out")])
