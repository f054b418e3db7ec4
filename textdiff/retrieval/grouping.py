"""Pictures that nearly equal each other, listed once.

Two rows are connected where their cosine is `near` or more; a group is what is connected, directly
or by way of others.
"""

from __future__ import annotations

import numpy as np

from textdiff.retrieval.planes import UnitRows


def groups_of(rows: UnitRows, near: float) -> np.ndarray:
    """(n,) for each row the number of the first one of its group."""
    connected = (rows @ rows.T >= near).numpy()
    first = np.arange(len(rows))
    for number in range(len(rows)):
        if first[number] != number:
            continue
        waiting = [number]
        while waiting:
            reached = np.flatnonzero(connected[waiting.pop()] & (first > number))
            first[reached] = number
            waiting.extend(reached.tolist())
    return first
