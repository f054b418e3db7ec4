"""How often a training is examined, so that it never takes more than a small share of its time.

    forward passes of an examination / 2 <= SHARE x samples trained on since the last one

A sample trained on costs some three forward passes of one picture, two where training is in mixed
precision: examinations are not. A function of steps, not of the clock: a resumed run is examined at
the same ones.
"""

from __future__ import annotations

import math

SHARE = 0.02
# 16 pictures: training, average, raw weights by 4 quarters each; text by 2 levels and 2 prompts
FORWARD = 16 * (4 + 4 + 4 + 4)
PASSES_OF_TRAINING = 2


def affordable(step: int, every: int, samples_per_step: int) -> bool:
    """Whether the evaluation at `step`, one at every so many steps, may examine.

    samples_per_step: of one process, the one that examines.
    """
    apart = math.ceil(FORWARD / PASSES_OF_TRAINING / SHARE / samples_per_step)  # steps
    return step // apart > (step - every) // apart
