"""How weights start where PyTorch's defaults are not wanted."""

from __future__ import annotations

from torch import nn


def zero_parameters(module: nn.Module) -> None:
    """Weights and biases of the last layer of a branch: what it adds is 0 at first (ADM)."""
    for parameter in module.parameters():
        nn.init.zeros_(parameter)
