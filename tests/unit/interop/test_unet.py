"""What is read from diffusers' U-Net folders and what is refused; weights are proved equal in
test_models_diffusers_parity.py."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel

from textdiff import checkpoint
from textdiff.errors import CheckpointError, UsageError
from textdiff.interop import (
    layout_from_diffusers,
    layout_to_diffusers,
    unet_from_diffusers,
    unet_to_diffusers,
)
from textdiff.interop.unet import folded
from textdiff.interop.unet_layout import CHOSEN, FIXED, IGNORED
from textdiff.models import UNet, UNetConfig
from textdiff.types import Conditioning

TINY = UNetConfig(
    image_size=8,
    block_channels=(8, 16),
    attention=(False, True),
    layers_per_block=1,
    head_dim=8,
    cross_attention_dim=12,
    norm_groups=4,
)
LAYOUT = layout_to_diffusers(TINY)


@pytest.fixture
def folder(tmp_path) -> Path:
    """A tiny U-Net as diffusers writes it."""
    unet_to_diffusers(UNet(TINY), tmp_path / "unet")
    return tmp_path / "unet"


def random_unet(config: UNetConfig) -> UNet:
    """Without the zeros that a fresh one has."""
    torch.manual_seed(0)
    unet = UNet(config).eval()
    for parameter in unet.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return unet


def test_every_option_of_diffusers_is_known_with_its_default():
    parameters = inspect.signature(UNet2DConditionModel.__init__).parameters
    theirs = {name: p.default for name, p in parameters.items() if name != "self"}
    ours = {**{name: values[0] for name, values in FIXED.items()}, **CHOSEN}
    assert {name: theirs[name] for name in theirs if name not in IGNORED} == ours


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("act_fn", "gelu"),
        ("addition_embed_type", "text"),
        ("attention_head_dim", (1, 3)),
        ("attention_type", "gated"),
        ("center_input_sample", True),
        ("class_embed_type", "timestep"),
        ("class_embed_type", "projection"),
        ("class_embeddings_concat", True),
        ("conv_in_kernel", 5),
        ("conv_out_kernel", 1),
        ("down_block_types", ("ResnetDownsampleBlock2D", "CrossAttnDownBlock2D")),
        ("down_block_types", ("DownBlock2D", "SimpleCrossAttnDownBlock2D")),
        ("down_block_types", ("DownBlock2D",)),
        ("downsample_padding", 0),
        ("dual_cross_attention", True),
        ("encoder_hid_dim", 16),
        ("encoder_hid_dim_type", "text_proj"),
        ("flip_sin_to_cos", False),
        ("freq_shift", 1),
        ("mid_block_scale_factor", 2),
        ("mid_block_type", "UNetMidBlock2DSimpleCrossAttn"),
        ("mid_block_type", None),
        ("norm_eps", 1e-6),
        ("norm_num_groups", None),
        ("num_class_embeds", 10),
        ("only_cross_attention", (True, False)),
        ("resnet_out_scale_factor", 2.0),
        ("resnet_skip_time_act", True),
        ("resnet_time_scale_shift", "ada_group"),
        ("sample_size", (8, 16)),
        ("time_cond_proj_dim", 4),
        ("time_embedding_act_fn", "silu"),
        ("time_embedding_dim", 64),
        ("time_embedding_type", "fourier"),
        ("timestep_post_act", "silu"),
        ("up_block_types", ("UpBlock2D", "CrossAttnUpBlock2D")),
        ("layers_per_block", (1, 1, 1)),
        ("an_option_to_come", True),
    ],
)
def test_an_option_that_ours_lacks_is_refused_by_name(option, value):
    with pytest.raises(CheckpointError, match=f"FOLDER: .*{option} .*needs"):
        layout_from_diffusers({**LAYOUT, option: value}, "FOLDER")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("cross_attention_dim", "the same at every level"),
        ("transformer_layers_per_block", "the same at every level"),
        ("attention_head_dim", "2, 8 wide.*one whole width"),
    ],
)
def test_a_value_that_differs_among_levels_that_attend_is_refused(option, message):
    both = {
        "down_block_types": ("CrossAttnDownBlock2D",) * 2,
        "up_block_types": ("CrossAttnUpBlock2D",) * 2,
        "attention_head_dim": (1, 2),
    }
    with pytest.raises(CheckpointError, match=f"{option} .*{message}"):
        layout_from_diffusers({**LAYOUT, **both, option: (4, 2)}, "FOLDER")


@pytest.mark.parametrize(
    "same",
    [
        {"act_fn": "swish"},
        {"upcast_attention": True},
        {"mid_block_only_cross_attention": False},
        {"time_embedding_dim": 32},
        {"only_cross_attention": (False, False)},
        {"attention_head_dim": (5, 2)},  # level 0 does not attend
        {"an_option_to_come": None},
        {"sample_size": (8, 8)},
        {"_diffusers_version": "0.10.0"},
    ],
    ids=str,
)
def test_other_words_for_the_same_network_are_read(same):
    read = layout_from_diffusers({**LAYOUT, **same}, "FOLDER")
    assert layout_to_diffusers(read) == LAYOUT


def test_a_layout_that_no_config_allows_is_refused():
    with pytest.raises(CheckpointError, match=r"FOLDER .*norm groups"):
        layout_from_diffusers({**LAYOUT, "norm_num_groups": 5}, "FOLDER")


def test_patches_are_refused():
    with pytest.raises(UsageError, match=r"patch_size 2.*patch_size 1"):
        unet_to_diffusers(UNet(TINY.model_copy(update={"patch_size": 2})))


def test_written_and_read_back(tmp_path):
    unet = random_unet(TINY)
    unet_to_diffusers(unet, tmp_path)
    back = unet_from_diffusers(tmp_path)
    assert back.config == TINY.model_copy(update={"layers_per_block": (1, 1)})
    torch.testing.assert_close(back.state_dict(), unet.state_dict(), rtol=0, atol=0)


def test_doubled_outputs_are_a_learned_variance(folder):
    unet_to_diffusers(UNet(TINY.model_copy(update={"learned_variance": True})), folder)
    assert unet_from_diffusers(folder).config.learned_variance


def test_a_pipeline_folder_is_read_by_its_unet(folder):
    assert unet_from_diffusers(folder.parent).config.block_channels == (8, 16)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "config.json").unlink(), "has no config.json"),
        (lambda f: (f / "config.json").write_text("{"), "cannot be read as JSON"),
        (
            lambda f: (f / "config.json").write_text(json.dumps({"_class_name": "UNet2DModel"})),
            "UNet2DModel; textdiff reads UNet2DConditionModel",
        ),
        (
            lambda f: (f / "diffusion_pytorch_model.safetensors").rename(
                f / "diffusion_pytorch_model.bin"
            ),
            "only diffusion_pytorch_model.bin.*safe_serialization=True",
        ),
        (
            lambda f: checkpoint.save_tensors(f / "diffusion_pytorch_model.safetensors", {}),
            "lacks 'conv_in.weight'",
        ),
    ],
    ids=["no config", "no JSON", "another class", "a pickle", "no tensors"],
)
def test_a_spoilt_folder(folder, spoil, message):
    spoil(folder)
    with pytest.raises(CheckpointError, match=message):
        unet_from_diffusers(folder)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(CheckpointError, match="is no folder"):
        unet_from_diffusers(tmp_path / "nowhere")


@pytest.mark.parametrize("learned", [False, True])
def test_folding_pixels_outside_of_the_network(learned):
    patched = TINY.model_copy(
        update={"patch_size": 2, "image_size": 16, "learned_variance": learned}
    )
    unet = random_unet(patched)
    x, timestep = torch.randn(2, 3, 16, 16), torch.tensor([3, 900])
    text = Conditioning(torch.randn(2, 5, 12))
    with torch.no_grad():
        outside = F.pixel_shuffle(folded(unet)(F.pixel_unshuffle(x, 2), timestep, text), 2)
        torch.testing.assert_close(outside, unet(x, timestep, text))
