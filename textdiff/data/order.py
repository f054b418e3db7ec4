"""The endless order of samples: a pure function of (seed, position).

    position p -> epoch e = p // n, sample id = permutation_(seed, e)[p mod n]

Nothing has to be saved to resume: step k reads the positions it always reads. Samples that belong
together, ids g k .. g k + g - 1 of group size g, follow each other: groups are permuted then.
"""

from __future__ import annotations

import torch
from torch import Tensor

from textdiff.randomness import Stream


class EndlessOrder:
    """Each epoch visits each of `num_samples` ids once, in an order of its own.

    group_size: of neighbours that stay together; 1: none.
    """

    def __init__(self, num_samples: int, seed: int, group_size: int = 1) -> None:
        if num_samples < 1:
            raise ValueError(f"an order needs at least one sample, got {num_samples}")
        self.num_samples = num_samples
        self.seed = seed
        self.group_size = group_size
        self._recent: dict[int, Tensor] = {}

    def at(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """(epochs, ids), each (B,) int64, of positions (B,) int64 >= 0."""
        epochs = positions // self.num_samples
        offsets = positions % self.num_samples
        ids = torch.empty_like(positions)
        for epoch in torch.unique(epochs).tolist():
            inside = epochs == epoch
            ids[inside] = self._permutation(epoch)[offsets[inside]]
        return epochs, ids

    def _permutation(self, epoch: int) -> Tensor:
        if epoch not in self._recent:
            while len(self._recent) > 1:  # two, as a batch may cross from one epoch to the next
                del self._recent[next(iter(self._recent))]
            self._recent[epoch] = self._drawn(epoch)
        return self._recent[epoch]

    def _drawn(self, epoch: int) -> Tensor:
        size = self.group_size
        groups = Stream(self.seed, "order", epoch).permutation(-(-self.num_samples // size))
        if size == 1:
            return groups
        ids = (groups[:, None] * size + torch.arange(size)).flatten()
        return ids[ids < self.num_samples]
