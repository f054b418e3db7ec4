"""Composition: whether drawn pictures show the things, colours and relations of their prompts.

The facts of a picture are read by analysis through synthesis, no network takes part, and compared
with those of its prompt; for combinations that training has (val) and for those that it never has
(test). With `--judge`, prompt following by CLIPs that took no part stands beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textdiff.evaluation.composition.settings import CompositionSettings

if TYPE_CHECKING:
    from textdiff.data.config import DataConfig
    from textdiff.evaluation.composition.asked import Asked
    from textdiff.pipeline import TextToImage


def run(settings: CompositionSettings) -> None:
    """Load, draw or open, read, show.

    Raises:
        DataError: data without facts, or pictures whose prompts the data do not have.
        UsageError: a judge is the CLIP that the model was trained with.
    """
