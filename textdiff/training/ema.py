"""Exponential moving average of the weights.

    ema <- d ema + (1 - d) weights,     d = min(decay, (1 + n) / (10 + n)) at the n-th update

The warm-up form forgets the initial weights early in a run, as in TensorFlow's moving averages.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class EMA:
    """Holds the averages in fp32 on the model's device; names are the model's parameter names."""

    def __init__(self, model: nn.Module, decay: float):
        self.parameters = dict(model.named_parameters())
        self.averages = {k: p.detach().float().clone() for k, p in self.parameters.items()}
        self.decay, self.updates = decay, 0

    @torch.no_grad()
    def update(self) -> None:
        """One step towards the current weights."""
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        weights = [p.float() for p in self.parameters.values()]
        torch._foreach_lerp_(list(self.averages.values()), weights, 1 - decay)
        self.updates += 1

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model holds the averages inside the block and its own weights, to the bit, after."""
        own = {name: p.detach().clone() for name, p in self.parameters.items()}
        self._copy(self.averages)
        try:
            yield
        finally:
            self._copy(own)

    @torch.no_grad()
    def _copy(self, tensors: dict[str, Tensor]) -> None:
        for name, parameter in self.parameters.items():
            parameter.copy_(tensors[name])
