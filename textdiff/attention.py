"""Attention by the kernel that is fastest for the device, the precision and the length.

    attend(q, k, v) = softmax(q k^T / sqrt(head_dim)) v

PyTorch's fused kernel works in blocks of many keys. On a CPU most of a block is padding where rows
are short, and its backward pass is slow in half precision. Two plain forms can then be faster: our
own products (`attend_plain`) and, inside modules that are not ours, PyTorch's (`SDPBackend.MATH`).
PyTorch's take more passes over the scores, so that they stop paying at shorter rows.

Forward and backward in bf16 on a CPU of 2026, 64 x 4 heads of 32, in shares of the fused time:

    tokens            17      32      64     128     256
    attend_plain    0.05    0.07    0.19    0.23    0.57
    MATH            0.05    0.17    0.41    0.69    1.33

In fp32 MATH is slower than the fused kernel at every length. `attend_plain` takes 0.79 of the fused
time at 64 queries x 12 keys, 0.97 at 64 x 64 and 2.0 at 256 x 256 (an AVX2 core, batch 64).
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

HALF = (torch.bfloat16, torch.float16)


@dataclass(frozen=True)
class PlainLimit:
    """The longest row of keys at which a plain form beats the fused kernel on a CPU; 0: none."""

    half: int
    full: int

    def allows(self, device: torch.device, dtype: torch.dtype, keys: int) -> bool:
        """Whether the plain form is the faster one. `keys` 0 stands for an unknown number."""
        longest = self.half if dtype in HALF else self.full
        return device.type == "cpu" and 0 < keys <= longest


OWN_PRODUCTS = PlainLimit(half=256, full=64)  # attend_plain
TORCH_MATH = PlainLimit(half=128, full=0)  # SDPBackend.MATH


def use_fused_kernels() -> None:
    """From now on in this process, as on a GPU: no plain form is taken."""
    global OWN_PRODUCTS, TORCH_MATH  # of a process that measures for a GPU
    OWN_PRODUCTS = TORCH_MATH = PlainLimit(half=0, full=0)


def attend(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Softmax attention by the faster kernel.

    Args:
        q: (B, heads, N, head_dim), as the result.
        k, v: (B, heads, L, head_dim).
        mask: bool, broadcastable to (B, heads, N, L), True = attend; each query needs a True.
    """
    if OWN_PRODUCTS.allows(q.device, q.dtype, k.shape[-2]):
        return attend_plain(q, k, v, mask)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask)


def attend_plain(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """`attend` by its formula, all N x L scores in memory."""
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return scores.softmax(dim=-1) @ v


def faster_kernel(device: torch.device, tokens: int) -> AbstractContextManager[None]:
    """A context in which PyTorch's own attention over `tokens` tokens takes the faster kernel.

    Args:
        tokens: length of the rows; 0: unknown, which leaves the choice to PyTorch.
    """
    autocast = torch.is_autocast_enabled("cpu")
    dtype = torch.get_autocast_dtype("cpu") if autocast else torch.float32
    plain = TORCH_MATH.allows(device, dtype, tokens)
    return sdpa_kernel(SDPBackend.MATH) if plain else nullcontext()
