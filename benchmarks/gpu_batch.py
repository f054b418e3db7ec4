"""How large a batch fills a share of the card, by trying.

a line through two small batches ──► guess ── a step, limited to the share ──► fits, or less
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

MULTIPLE = 32
PROBES = (32, 96)
LESS = 0.9


def largest_batch(fits: Callable[[int], bool], guess: int) -> int:
    """The first that fits, a multiple of 32: from `guess` down by tenths.

    Raises:
        RuntimeError: not even the smallest does.
    """
    batch = max(MULTIPLE, guess // MULTIPLE * MULTIPLE)
    while not fits(batch):
        if batch == MULTIPLE:
            raise RuntimeError(f"not even a batch of {MULTIPLE} fits the share of the card")
        batch = max(MULTIPLE, int(LESS * batch) // MULTIPLE * MULTIPLE)
    return batch


def guessed(share: float, peak: Callable[[int], int]) -> int:
    """Which batch takes `share` of the card's memory.

    peak: bytes that a step of a batch allocates at most.
    """
    total = torch.cuda.get_device_properties(0).total_memory
    small, large = (peak(batch) for batch in PROBES)
    per_image = (large - small) / (PROBES[1] - PROBES[0])
    return int(PROBES[0] + (share * total - small) / per_image)


def allocated_at_most(step: Callable[[], object]) -> int:
    """Bytes, in the second call: the first makes the optimizer's state."""
    step()
    torch.cuda.reset_peak_memory_stats()
    step()
    return torch.cuda.max_memory_allocated()


def runs_within(share: float, steps: Callable[[], Iterator[Callable[[], object]]]) -> bool:
    """Whether each of `steps` does, with this share of the card and no more."""
    try:
        with limited_memory(share):
            for step in steps():
                step()
                step()
    except torch.OutOfMemoryError:
        return False
    return True


@contextmanager
def limited_memory(share: float) -> Iterator[None]:
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(share)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
        torch.cuda.empty_cache()
