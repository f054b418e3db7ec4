"""UNetConfig accepts what can be built and refuses the rest in one line that names the cure."""

from __future__ import annotations

import pytest

from textdiff.config import Settings, build, read_yaml, to_yaml
from textdiff.errors import UsageError
from textdiff.models import UNetConfig


class Run(Settings):
    """What a command's settings look like, with the U-Net's as a section."""

    unet: UNetConfig = UNetConfig()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {
                "image_size": 36,
                "block_channels": [32] * 4,
                "attention": [True] * 4,
            },
            "image size 36 cannot be halved 3 times (4 levels); "
            "use a multiple of 8 or fewer levels",
        ),
        (
            {"image_size": 20, "patch_size": 2},
            "image size 20 cannot be cut into patches of 2 and halved 2 times (3 levels); "
            "use a multiple of 8 or fewer levels",
        ),
        (
            {"attention": [True, True]},
            "attention has 2 entries but block_channels has 3 levels; give one entry per level",
        ),
        (
            {"layers_per_block": [1, 2]},
            "layers_per_block has 2 entries but block_channels has 3 levels; "
            "give one entry per level",
        ),
        (
            {"layers_per_block": 256, "transformer_layers": 256},
            "layers_per_block (256, 256, 256) times transformer_layers 256 is 393,984 blocks; "
            "2,048 at most are built",
        ),
        (
            {"layers_per_block": [1, 0, 1]},
            "layers_per_block (1, 0, 1) must be 1 or more at each level",
        ),
        (
            {"block_channels": [48, 64, 96]},
            "48 channels at level 0 cannot be split into 32 norm groups; "
            "use a multiple of 32 or fewer norm_groups",
        ),
        (
            {"block_channels": [32, 48, 64], "norm_groups": 16},
            "48 channels at level 1 cannot be split into heads of width 32; "
            "use a multiple of 32 or another head_dim",
        ),
        (
            {"block_channels": [32, 64, 48], "attention": [False] * 3, "norm_groups": 16},
            "48 channels at level 2 cannot be split into heads of width 32; use a multiple of 32 "
            "or another head_dim (the middle block attends at the last level's width)",
        ),
    ],
)
def test_refuses_with_the_cure(settings: dict, message: str) -> None:
    with pytest.raises(UsageError) as error:
        build(Run, [("run.yaml", {"unet": settings})])
    assert str(error.value) == f"run.yaml: unet: {message}"


def test_head_dim_binds_only_where_a_level_attends() -> None:
    UNetConfig(block_channels=(48, 64), attention=(False, True), norm_groups=16)


@pytest.mark.parametrize(
    ("given", "layers"), [(2, (2, 2, 2)), ((1,), (1, 1, 1)), ((1, 2, 3), (1, 2, 3))]
)
def test_one_layer_count_serves_all_levels(
    given: int | tuple[int, ...], layers: tuple[int, ...]
) -> None:
    assert UNetConfig(layers_per_block=given).layers == layers


@pytest.mark.parametrize(
    ("out_channels", "learned_variance", "expected"),
    [(None, False, 4), (None, True, 8), (3, True, 6)],
)
def test_network_channels(out_channels: int | None, learned_variance: bool, expected: int) -> None:
    config = UNetConfig(in_channels=4, out_channels=out_channels, learned_variance=learned_variance)
    assert config.network_channels == expected


def test_survives_yaml(tmp_path) -> None:
    config = UNetConfig(block_channels=(32, 64), attention=(False, True), layers_per_block=(1, 2))
    path = tmp_path / "unet.yaml"
    path.write_text(to_yaml(config))
    assert build(UNetConfig, [(str(path), read_yaml(path))]) == config


def test_takes_the_words_of_a_command_line() -> None:
    words = {
        "block_channels": ["32", "64"],
        "attention": ["false", "true"],
        "layers_per_block": ["1"],
    }
    config = build(UNetConfig, [("flags", words)])
    assert (config.block_channels, config.attention) == ((32, 64), (False, True))
    assert config.layers == (1, 1)
