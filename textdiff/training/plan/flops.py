"""Floating-point operations while code runs, a multiplication and an addition counting as two.

torch's own counter, and what it leaves out: attention by a CPU's fused kernel. With rows of N
queries and L keys of width d,

    forward   q k^T and a v                      2 products, 4 N L d
    backward  q k^T again, and four gradients    5 products, 10 N L d
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

Shape = tuple[int, ...]


def counter() -> FlopCounterMode:
    """`with counter() as counted: ...`, then `counted.get_total_flops()`."""
    forward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
    formulas = {forward: _attention, backward: _attention_backward}
    return FlopCounterMode(display=False, custom_mapping=formulas)


def _attention(query: Shape, key: Shape, *_others: Any, **_named: Any) -> int:
    return 4 * math.prod(query) * key[-2]


def _attention_backward(_gradient: Shape, query: Shape, key: Shape, *_: Any, **_named: Any) -> int:
    return 10 * math.prod(query) * key[-2]
