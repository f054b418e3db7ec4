"""The data that a run is judged by while it trains."""

from __future__ import annotations

from textdiff.data.base import CaptionedImages
from textdiff.data.config import DataConfig
from textdiff.data.open import open_data
from textdiff.errors import EmptySplitError


def open_held_out(config: DataConfig) -> CaptionedImages | None:
    """The validation split; None where it holds nothing.

    Raises:
        DataError: the data cannot be read.
    """
    try:
        return open_data(config, "val")
    except EmptySplitError:
        return None
