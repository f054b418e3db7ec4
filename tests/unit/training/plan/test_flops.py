"""FLOPs of a forward and backward pass, against the formula of each part."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from textdiff.training.plan.flops import counter


def test_a_linear_layer_takes_three_products_in_training():
    layer, x = nn.Linear(8, 16), torch.randn(4, 8, requires_grad=True)
    with counter() as counted:
        layer(x).sum().backward()
    assert counted.get_total_flops() == 3 * 2 * 4 * 8 * 16


@pytest.mark.parametrize("keys", [5, 32])
def test_attention_takes_two_products_and_five_for_its_gradients(keys):
    shapes = [(2, 3, 32, 8), (2, 3, keys, 8), (2, 3, keys, 8)]
    q, k, v = (torch.randn(shape, requires_grad=True) for shape in shapes)
    product = 2 * (2 * 3) * 32 * keys * 8
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION), counter() as counted:
        output = F.scaled_dot_product_attention(q, k, v)
        assert counted.get_total_flops() == 2 * product
        output.sum().backward()
    assert counted.get_total_flops() == 7 * product
