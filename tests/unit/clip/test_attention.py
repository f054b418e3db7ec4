"""The kernel of attention is chosen by device, arithmetic and length, and changes no result."""

from __future__ import annotations

import pytest
import torch
from torch.nn.attention import SDPBackend, _cur_sdpa_kernel_backends

from textdiff.clip import ClipModel
from textdiff.clip.attention import FEW_TOKENS, quick_attention

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("device", "half", "tokens", "plain"),
    [
        (CPU, True, 17, True),
        (CPU, True, FEW_TOKENS + 1, False),
        (CPU, True, 0, False),
        (CPU, False, 17, False),
        (torch.device("cuda"), True, 17, False),
    ],
)
def test_short_sequences_in_bf16_on_a_cpu_take_plain_products(device, half, tokens, plain):
    with torch.autocast("cpu", torch.bfloat16, enabled=half), quick_attention(device, tokens):
        assert (_cur_sdpa_kernel_backends() == [SDPBackend.MATH]) == plain


def test_features_are_those_of_the_fused_kernel(tiny_clip, monkeypatch):
    clip = ClipModel.load(tiny_clip)
    images, captions = torch.rand(4, 3, clip.image_size, clip.image_size), ["red circle"] * 4
    assert clip._image_tokens > 1

    def features():
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            return clip(images, captions)[:2]

    quick = features()
    monkeypatch.setattr("textdiff.clip.attention.FEW_TOKENS", 0)
    for a, b in zip(quick, features(), strict=True):
        torch.testing.assert_close(a, b, atol=0.02, rtol=0)
