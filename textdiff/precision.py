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
    """Best time of one (size x size) matrix product, over 0.2 s and at least three: on a machine
    that others use too, most are disturbed."""
    a = torch.randn(size, size, device=device).to(dtype)
    times: list[float] = []
    while len(times) < 4 or sum(times) < 0.2:
        start = time.perf_counter()
        (a @ a).sum().item()
        times.append(time.perf_counter() - start)
    return min(times[1:])  # the first one warms up


@lru_cache
def bf16_pays(device_type: str) -> bool:
    """Whether bf16 is worth using: CUDA by capability, MPS no, CPU at 1.5x fp32's speed or more."""
    if device_type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device_type != "cpu":
        return False
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several wait for each other where other programs use the cores too
    try:
        return matmul_seconds(torch.bfloat16) * 1.5 < matmul_seconds(torch.float32)
    finally:
        torch.set_num_threads(threads)
