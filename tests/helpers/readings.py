"""Readings of a training step as `plan` takes them, made up."""

from __future__ import annotations

from textdiff.training.plan.reading import Cost, Held, StepReading


def reading(
    batch: int,
    live: int = 10**9,
    *,
    seconds: float = 1.0,
    flops: int | None = None,
    evaluation: int = 0,
    gradients: int = 4 * 10**6,
    **changes,
) -> StepReading:
    """Of a step at `batch` that never varies and whose process holds nothing beside tensors."""
    held = Held(
        weights=gradients, gradients=gradients, optimizer=2 * gradients, average=0, others=0
    )
    values = {
        "batch": batch,
        "name": "unet",
        "parameters": 10**6,
        "trained": 10**6,
        "held": held,
        "setup": 0,
        "evaluation": evaluation,
        "cost": Cost([live], [live] * 3, [seconds] * 3, [seconds] * 3, flops),
        "precision": "no",
        "device": "cpu",
        "threads": 1,
        "capacity": 8 * 10**9,
        "rows": 100,
        "texts": 100,
        "text_bytes": 0,
        "latent_bytes": 0,
    }
    return StepReading(**{**values, **changes})
