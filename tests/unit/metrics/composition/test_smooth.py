"""The blur keeps sums, flat areas and the size that it says."""

from __future__ import annotations

import pytest
import torch

from textdiff.metrics.composition.smooth import SIGMA, margin_of, smooth


@pytest.mark.parametrize("size", [24, 32, 64])
def test_a_point_becomes_a_gaussian_of_the_same_sum(size):
    point = torch.zeros(1, 1, 5, 5)
    point[0, 0, 2, 2] = 1
    blurred = smooth(point, size)
    margin = margin_of(size)
    assert blurred.shape == (1, 1, 5 + 2 * margin, 5 + 2 * margin)
    assert blurred.sum().item() == pytest.approx(1)
    middle = blurred[0, 0, 2 + margin]
    beside = torch.exp(torch.tensor(-0.5 / (SIGMA * size) ** 2)).item()
    assert (middle[3 + margin] / middle[2 + margin]).item() == pytest.approx(beside)


def test_flat_areas_stay_flat():
    flat = torch.full((2, 3, 16, 16), 0.25)
    margin = margin_of(32)
    inside = smooth(flat, 32)[..., 2 * margin : -2 * margin, 2 * margin : -2 * margin]
    assert torch.allclose(inside, torch.tensor(0.25))
