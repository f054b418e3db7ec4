"""Whether training compiles its network, and what happens where that fails.

true:   torch.compile; its errors end the run
auto:   the same on a GPU in a run that is long enough to pay for it; where compiling fails, a
        warning says why and the layers run as they are
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

Layers = Callable[..., Sequence[Tensor]]

LONG_STEPS = 5000  # compiling takes a minute or more, once per start
LONG_MINUTES = 30.0


def pays(device_type: str, steps: int, max_minutes: float | None) -> bool:
    """Whether "auto" compiles. On a CPU it gained nothing (docs/speed.md).

    Args:
        steps: of the run.
        max_minutes: of the run; None: as long as the steps take.
    """
    short = max_minutes is not None and max_minutes < LONG_MINUTES
    return device_type == "cuda" and steps >= LONG_STEPS and not short


def compile_network(network: nn.Module, *, or_eager: bool) -> None:
    """In place: parameters keep their names. Code is made at the first step.

    or_eager: where that fails, run the layers one by one.
    """
    if or_eager:
        network.compile(backend=inductor_or_eager)
    else:
        network.compile()


def inductor_or_eager(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Layers:
    """A backend of torch.compile: its usual one; the traced layers as they are where it fails."""
    from torch._dynamo import lookup_backend

    try:
        return lookup_backend("inductor")(graph, inputs)
    except Exception as error:  # of whatever compiler; a run of hours must not end by it
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        logging.getLogger(__name__).warning(
            "the network could not be compiled and runs as it is (%.200s); --train.compile false "
            "does not try",
            reason,
        )
        return graph.forward
