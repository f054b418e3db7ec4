"""Multi-head attention of the U-Net."""

from __future__ import annotations

import torch

from textdiff.models.attention import Attention


def test_heads_see_only_their_own_channels() -> None:
    torch.manual_seed(0)
    attention = Attention(dim=12, source_dim=5, head_dim=4)
    attention.to_out = torch.nn.Identity()
    x, text = torch.randn(2, 7, 12), torch.randn(2, 3, 5)
    before = attention(x, *attention.keys_values(text))
    with torch.no_grad():
        attention.to_v.weight[4:8] += 1.0
    changed = (attention(x, *attention.keys_values(text)) - before).abs().amax(dim=(0, 1)) > 1e-4
    assert changed.tolist() == [False] * 4 + [True] * 4 + [False] * 4
