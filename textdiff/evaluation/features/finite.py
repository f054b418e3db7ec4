"""Whether features are numbers: no metric would say so, and ranks would count them as wrong."""

from __future__ import annotations

from textdiff.errors import CheckpointError
from textdiff.types import Features


def check_finite(features: Features, name: str) -> None:
    """Raises CheckpointError where any of (n, D), computed by the network `name`, is NaN or
    infinite: pictures and captions are always finite, so it is the weights that are not."""
    broken = (~features.isfinite().all(dim=1)).nonzero()[:, 0]
    if len(broken):
        raise CheckpointError(
            f"features by {name} are NaN or infinite for {len(broken)} of {len(features)}, the "
            f"first is number {int(broken[0])}; its weights overflow or are damaged: take an "
            "earlier checkpoint"
        )
