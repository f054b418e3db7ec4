"""What both training commands do before they start."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from accelerate import Accelerator

    from textdiff.data import CaptionedImages, DataConfig


def accelerator_for(precision: str) -> Accelerator:
    """Processes and devices as accelerate was launched, precision as probed."""
    from accelerate import Accelerator
    from accelerate.state import PartialState

    from textdiff.training.precision import choose_precision

    device = PartialState().device
    return Accelerator(mixed_precision=choose_precision(precision, device.type))


def open_split(config: DataConfig, split: str) -> CaptionedImages | None:
    """A split of the data; None for a validation split that holds nothing.

    Raises:
        DataError: the training split is empty, or the data cannot be read.
    """
    from textdiff.data import open_data
    from textdiff.errors import EmptySplitError

    try:
        return open_data(config, split)
    except EmptySplitError:
        if split == "train":
            raise
        return None
