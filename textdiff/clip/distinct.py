"""Equal rows computed once, so that what is equal compares as equal.

A matrix product rounds equal columns differently by where they stand, as vectorised code treats a
last few apart. Ties among equal pictures, captions or features would be decided by that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import torch
from jaxtyping import Int, Shaped
from torch import Tensor

Rows = Shaped[Tensor, "n *rest"]


def distinct_rows(rows: Rows) -> tuple[Int[Tensor, " d"], Int[Tensor, " n"]]:
    """(the first index of each distinct row, which of these each row equals); equal is bit by bit.
    Both on the CPU."""
    flat = rows.detach().cpu().contiguous().flatten(1)
    number: dict[bytes, int] = {}
    first, which = [], []
    for index, row in enumerate(flat):
        key = hashlib.blake2b(row.view(torch.uint8).numpy(), digest_size=20).digest()
        if key not in number:
            number[key] = len(number)
            first.append(index)
        which.append(number[key])
    return torch.tensor(first, dtype=torch.long), torch.tensor(which, dtype=torch.long)


def once_per_row(compute: Callable[[Tensor], Tensor], rows: Rows) -> Tensor:
    """`compute(rows)` with equal results for equal rows. compute: one row of its result per row."""
    first, which = distinct_rows(rows)
    if len(first) == len(which):
        return compute(rows)
    return compute(rows[first.to(rows.device)])[which.to(rows.device)]
