"""Whether bf16 is the faster arithmetic here. Probed, not guessed by name.

bf16 matmul is four times as fast as fp32 on a CPU with AVX512-BF16, and 150 times slower on one
with AVX2 alone (both measured with `textdiff doctor`, two cores).
"""

from __future__ import annotations

import time
from functools import lru_cache

import torch


def matmul_seconds(
    dtype: torch.dtype, device: torch.device | str = "cpu", size: int = 512
) -> float:
    """Best of three of one (size x size) matrix product."""
    a = torch.randn(size, size, device=device).to(dtype)
    best = float("inf")
    for _ in range(4):  # the first one warms up
        start = time.perf_counter()
        (a @ a).sum().item()
        best = min(best, time.perf_counter() - start)
    return best


@lru_cache
def bf16_pays(device_type: str) -> bool:
    """Whether bf16 is worth using: CUDA by capability, MPS no, CPU at 1.5x fp32's speed or more."""
    if device_type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device_type != "cpu":
        return False
    return matmul_seconds(torch.bfloat16) * 1.5 < matmul_seconds(torch.float32)
