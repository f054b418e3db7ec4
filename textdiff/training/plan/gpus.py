"""Kinds of GPU by name: memory, and how fast matrix products are by their data sheets.

TFLOP/s of dense products with sums in fp32: bf16 where the card has it, else fp16 (NVIDIA's data
sheets of V100, T4, RTX 3090 and 4090, L4, A10, L40S, A100, H100 SXM, H200, B200; AMD's of MI300X).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

GpuKind = Literal[
    "t4", "v100", "rtx3090", "rtx4090", "l4", "a10", "l40s", "a100-40", "a100-80", "h100", "h200",
    "b200", "mi300x",
]  # fmt: skip


@dataclass(frozen=True)
class Gpu:
    """memory: GB (10^9 bytes) as sold, of which some hundred MB are the driver's. tflops: see
    above. bf16: whether it multiplies bf16."""

    memory: float
    tflops: float
    bf16: bool = True


GPUS: dict[GpuKind, Gpu] = {
    "t4": Gpu(16, 65, bf16=False),
    "v100": Gpu(32, 125, bf16=False),
    "rtx3090": Gpu(24, 71),
    "rtx4090": Gpu(24, 165),
    "l4": Gpu(24, 121),
    "a10": Gpu(24, 125),
    "l40s": Gpu(48, 362),
    "a100-40": Gpu(40, 312),
    "a100-80": Gpu(80, 312),
    "h100": Gpu(80, 989),
    "h200": Gpu(141, 989),
    "b200": Gpu(180, 2250),
    "mi300x": Gpu(192, 1307),
}
assert tuple(GPUS) == get_args(GpuKind)
