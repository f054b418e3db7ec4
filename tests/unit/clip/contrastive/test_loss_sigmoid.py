"""sigmoid_loss: open_clip's SigLipLoss, gradients, tiles of any size."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.contrastive import pairs, unit_features, value_and_gradients
from textdiff.clip import sigmoid_loss

T_AND_BIAS = (torch.tensor(10.0).double(), torch.tensor(-10.0).double())


def by_open_clip(images, texts, scale, bias) -> torch.Tensor:
    from open_clip.loss import SigLipLoss

    return SigLipLoss()(images, texts, scale, bias)


@given(rows=st.integers(1, 12), tile_size=st.integers(1, 15), scale=st.floats(0.1, 100.0))
def test_open_clips_loss_and_gradients(rows, tile_size, scale):
    inputs = (*pairs(rows, 5), torch.tensor(scale).double(), T_AND_BIAS[1])
    found = value_and_gradients(sigmoid_loss, *inputs, tile_size=tile_size)
    expected = value_and_gradients(by_open_clip, *inputs)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_gradcheck():
    inputs = [unit_features(4, 3, 0), unit_features(4, 3, 1), *T_AND_BIAS]
    leaves = [x.clone().requires_grad_() for x in inputs]
    assert torch.autograd.gradcheck(lambda *x: sigmoid_loss(*x, tile_size=3), leaves)


def test_float32_is_within_1e_5_of_float64():
    inputs = (*pairs(200, 64), *T_AND_BIAS)
    expected = value_and_gradients(by_open_clip, *inputs)
    found = value_and_gradients(sigmoid_loss, *(x.float() for x in inputs), tile_size=64)
    for value, wanted in zip(found, expected, strict=True):
        assert (value - wanted).abs().max() < 1e-5 * max(1.0, wanted.abs().max())
