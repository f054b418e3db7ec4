"""Stateless randomness: every draw is a pure function of named parts, e.g. (seed, step, sample id).

So a resumed run needs no generator state, and ranks, workers and batch sizes do not change what a
sample sees.
"""

from __future__ import annotations

import hashlib

import torch


def seed_of(*parts: int | str) -> int:
    """A seed in 0..2^63-1 from the parts; close parts give unrelated seeds."""
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def generator(*parts: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator on `device` seeded by `parts`. CPU and CUDA generators draw different numbers."""
    return torch.Generator(device).manual_seed(seed_of(*parts))
