"""Our noise where diffusers draws its own: its generators are torch's, ours are not."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.utils import torch_utils

from textdiff.sampling import ImageNoise

# For a process without textdiff: the draws in a file, one after the other.
PLAYED_BACK = """
import diffusers.utils.torch_utils, numpy, sys, torch
draws = iter(numpy.load({file!r}))
for module in list(sys.modules.values()):
    if getattr(module, "randn_tensor", None) is diffusers.utils.torch_utils.randn_tensor:
        if module is not diffusers.utils.torch_utils:
            module.randn_tensor = lambda *a, **k: torch.from_numpy(next(draws))
"""


def noise_of(count: int, shape: tuple[int, ...], seed: int = 0) -> ImageNoise:
    """The noise of our pictures 0..count-1 of `seed`."""
    return ImageNoise([(seed, k) for k in range(count)], shape)


def draw_ours(monkeypatch: pytest.MonkeyPatch, seed: int = 0) -> None:
    """What pipelines and schedulers that are loaded draw is from now on our noise of `seed`."""
    theirs, streams = torch_utils.randn_tensor, {}

    def drawn(shape, generator=None, device=None, dtype=None, layout=None):
        noise = noise_of(shape[0], tuple(shape[1:]), seed)
        return streams.setdefault(tuple(shape), noise)().to(dtype)

    for module in list(sys.modules.values()):
        if module is not torch_utils and getattr(module, "randn_tensor", None) is theirs:
            monkeypatch.setattr(module, "randn_tensor", drawn)


def save_draws(file: Path, shape: tuple[int, ...], draws: int) -> None:
    """The noise of our picture 0 of seed 0 for `PLAYED_BACK`."""
    noise = noise_of(1, shape)
    np.save(file, torch.stack([noise() for _ in range(draws)]).numpy())
