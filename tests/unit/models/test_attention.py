"""The attention kernels agree with each other and with the definition of softmax attention."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from textdiff.models.attention import Attention, attend, attend_plain


def draw(queries: int, keys: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, 3, queries, 8), (2, 3, keys, 8), (2, 3, keys, 8))
    return [torch.randn(shape, generator=generator, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize(("queries", "keys"), [(1, 1), (16, 5), (16, 16), (5, 80)])
def test_plain_and_fused_kernels_agree(queries: int, keys: int, masked: bool) -> None:
    tensors = draw(queries, keys)
    mask = None
    if masked:
        mask = torch.arange(keys) < torch.tensor([[keys], [(keys + 1) // 2]])
        mask = mask[:, None, None, :]
    results = []
    for kernel in (attend_plain, F.scaled_dot_product_attention):
        output = kernel(*tensors, mask)
        probe = torch.linspace(-1, 1, output.numel()).view_as(output)
        results.append((output, *torch.autograd.grad((output * probe).sum(), tensors)))
    for plain, fused in zip(*results, strict=True):
        torch.testing.assert_close(plain, fused, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("keys", [8, 64, 65, 257])
def test_the_chosen_kernel_changes_no_result(keys: int) -> None:
    q, k, v = draw(4, keys)
    torch.testing.assert_close(attend(q, k, v), attend_plain(q, k, v), rtol=1e-5, atol=1e-5)


def test_equal_keys_average_the_attended_values() -> None:
    _, k, v = draw(4, 6)
    mask = torch.tensor([True, True, False, False, True, False])
    averaged = attend(torch.zeros(2, 3, 4, 8), k, v, mask)
    torch.testing.assert_close(averaged, v[:, :, mask].mean(2, keepdim=True).expand(2, 3, 4, 8))


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
