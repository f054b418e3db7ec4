"""The attention kernels agree with each other and with the definition of softmax attention; which
one is chosen depends on device, precision and length."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch.nn.attention import SDPBackend, _cur_sdpa_kernel_backends

from textdiff import attention
from textdiff.attention import OWN_PRODUCTS, TORCH_MATH, attend, attend_plain, faster_kernel
from textdiff.clip import ClipModel

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


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


@pytest.mark.parametrize(
    ("device", "dtype", "keys", "own_products", "torch_math"),
    [
        (CPU, torch.bfloat16, 17, True, True),
        (CPU, torch.float16, 128, True, True),
        (CPU, torch.bfloat16, 129, True, False),
        (CPU, torch.bfloat16, 257, False, False),
        (CPU, torch.float32, 17, True, False),
        (CPU, torch.float32, 65, False, False),
        (CPU, torch.bfloat16, 0, False, False),
        (CUDA, torch.bfloat16, 17, False, False),
    ],
)
def test_plain_forms_are_for_short_rows_on_a_cpu(device, dtype, keys, own_products, torch_math):
    assert OWN_PRODUCTS.allows(device, dtype, keys) == own_products
    assert TORCH_MATH.allows(device, dtype, keys) == torch_math


@pytest.mark.parametrize(("dtype", "plain"), [(torch.float32, 64), (torch.bfloat16, 256)])
def test_attend_takes_plain_products_up_to_their_limit(dtype, plain, monkeypatch):
    lengths = []

    def counted(q, k, v, mask):
        lengths.append(k.shape[2])
        return attend_plain(q, k, v, mask)

    monkeypatch.setattr(attention, "attend_plain", counted)
    for keys in (1, plain, plain + 1, 2 * plain):
        attend(*(x.to(dtype) for x in draw(4, keys)))
    assert lengths == [1, plain]


@pytest.mark.parametrize(
    ("device", "half", "tokens", "plain"),
    [
        (CPU, True, 17, True),
        (CPU, True, TORCH_MATH.half + 1, False),
        (CPU, True, 0, False),
        (CPU, False, 17, False),
        (CUDA, True, 17, False),
    ],
)
def test_modules_take_plain_products_for_short_rows_under_autocast(device, half, tokens, plain):
    with torch.autocast("cpu", torch.bfloat16, enabled=half), faster_kernel(device, tokens):
        assert (_cur_sdpa_kernel_backends() == [SDPBackend.MATH]) == plain


def test_clip_features_are_those_of_the_fused_kernel(tiny_clip, monkeypatch):
    clip = ClipModel.load(tiny_clip)
    images, captions = torch.rand(4, 3, clip.image_size, clip.image_size), ["red circle"] * 4
    assert clip._image_tokens > 1

    def features():
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            return clip(images, captions)[:2]

    faster = features()
    monkeypatch.setattr(attention, "TORCH_MATH", replace(TORCH_MATH, half=0))
    for a, b in zip(faster, features(), strict=True):
        torch.testing.assert_close(a, b, atol=0.02, rtol=0)
