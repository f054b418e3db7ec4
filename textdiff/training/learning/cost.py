"""How often a training is examined, so that it never takes more than a small share of its time.

forward passes of an examination / 3 <= SHARE x samples trained on since the last one

A sample trained on costs about three forward passes of one picture. A function of steps, not of the
clock: a resumed run is examined at the same steps.
"""

from __future__ import annotations

import math

SHARE = 0.03
FORWARD = 16 * (
    4 + 4 + 4 + 4
)  # training pictures, average, raw weights; text: 2 levels x 2 prompts
PASSES_OF_TRAINING = 3


def affordable(step: int, every: int, samples_per_step: int) -> bool:
    """Whether the evaluation at `step`, one at every so many steps, may examine.

    samples_per_step: of one process, the one that examines.
    """
    apart = math.ceil(FORWARD / PASSES_OF_TRAINING / SHARE / samples_per_step)  # steps
    return step // apart > (step - every) // apart
