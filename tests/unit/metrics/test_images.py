"""PSNR and SSIM against torchmetrics, and at their limits."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from textdiff.errors import DataError
from textdiff.metrics.images import psnr, ssim


def pairs(size: int, noise: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(0, 256, (3, 3, size, size), generator=generator)
    first = torch.nn.functional.avg_pool2d(first.float(), 3, 1, 1)  # neighbours are alike
    off = torch.randint(-noise, noise + 1, first.shape, generator=generator)
    return first.byte(), (first + off).clamp(0, 255).byte()


@given(st.integers(11, 24), st.integers(1, 80), st.integers(0, 99))
def test_both_are_those_of_torchmetrics(size, noise, seed):
    from torchmetrics.functional.image import (
        peak_signal_noise_ratio,
        structural_similarity_index_measure,
    )

    first, second = pairs(size, noise, seed)
    want = structural_similarity_index_measure(
        second.double() / 255, first.double() / 255, data_range=1.0, reduction="none"
    )
    torch.testing.assert_close(ssim(first, second), want, rtol=1e-6, atol=1e-6)
    for k, value in enumerate(psnr(first, second).tolist()):
        theirs = peak_signal_noise_ratio(second[k].double(), first[k].double(), data_range=255.0)
        assert value == pytest.approx(theirs.item(), rel=1e-6)


def test_equal_pictures():
    first, _ = pairs(16, 1, 0)
    assert ssim(first, first).tolist() == pytest.approx([1.0] * 3)
    assert psnr(first, first).tolist() == pytest.approx([10 * math.log10(255**2 * 3 * 16 * 16)] * 3)


def test_an_error_of_one_level_everywhere():
    first = torch.full((1, 3, 12, 12), 100, dtype=torch.uint8)
    assert psnr(first, first + 1).item() == pytest.approx(20 * math.log10(255))


def test_pictures_smaller_than_the_window():
    small = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    with pytest.raises(DataError, match="11 pixels a side or more, not 8x8"):
        ssim(small, small)
