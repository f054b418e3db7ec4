"""The data that a run is judged by while it trains."""

from __future__ import annotations

from textdiff.data.base import CaptionedImages
from textdiff.data.config import DataConfig
from textdiff.data.cost import cache_pixels
from textdiff.data.open import open_data
from textdiff.errors import EmptySplitError

EVALUATIONS = 10  # in a run, as far as keeping resized pictures is concerned


def open_held_out(config: DataConfig) -> CaptionedImages | None:
    """The validation split; None where it holds nothing.

    Raises:
        DataError: the data cannot be read.
    """
    try:
        data = open_data(config, "val")
    except EmptySplitError:
        return None
    cache_pixels(data, EVALUATIONS * len(data))
    return data
