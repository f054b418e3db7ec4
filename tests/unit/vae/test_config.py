"""Settings of a VAE."""

from __future__ import annotations

import pytest

from textdiff.config import build
from textdiff.errors import UsageError
from textdiff.vae import VaeConfig


@pytest.mark.parametrize(
    ("channels", "factor"), [((16,), 1), ((16, 16), 2), ((16, 32, 32), 4), ((16,) * 4, 8)]
)
def test_each_level_but_the_last_halves(channels, factor):
    assert VaeConfig(block_channels=channels).factor == factor


@pytest.mark.parametrize(
    "settings",
    [
        {"layers_per_block": 33},
        {"latent_channels": 513},
        {"norm_groups": 513, "block_channels": (513,)},
        {"block_channels": (16,) * 13},
        {"block_channels": (8192 + 16,)},
    ],
)
def test_nothing_is_trained_that_could_not_be_loaded(settings):
    with pytest.raises(UsageError, match=r"8192|less than or equal|at most"):
        build(VaeConfig, [("vae", settings)])


def test_groups_that_do_not_fit_are_refused_with_what_would():
    with pytest.raises(UsageError, match=r"24 channels at level 1 .* multiple of 16"):
        build(VaeConfig, [("vae", {"block_channels": (16, 24)})])
