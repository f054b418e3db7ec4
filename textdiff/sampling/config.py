"""What settings use of the sampling room, without anything heavy."""

from __future__ import annotations

from typing import Literal

Spacing = Literal["trailing", "leading", "linspace", "log_snr", "karras"]


def most_halvings(best_of: int) -> int:
    """After how many halvings, rounded up, one of `best_of` candidates is left."""
    return (best_of - 1).bit_length()
