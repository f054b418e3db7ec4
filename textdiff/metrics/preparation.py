"""Pictures from files, prepared for a CLIP as open_clip's own transform for it does."""

from __future__ import annotations

from typing import Any

from textdiff.clip.model import ClipModel
from textdiff.data.config import DataConfig, Resize

RESIZES: dict[str, Resize] = {"shortest": "crop", "longest": "pad", "squash": "stretch"}


def as_clip_sees(config: DataConfig, clip: ClipModel) -> DataConfig:
    """`config` with pictures of the CLIP's size, made so in its way, but for what was asked for.

    Pictures that are first made smaller than a CLIP's input and then enlarged for it lose what it
    was trained to see; larger ones are resized twice.
    """
    preprocess = clip.preprocess
    wanted: dict[str, Any] = {
        "image_size": clip.image_size,
        "resize": RESIZES[preprocess["resize_mode"]],
        "pad_level": preprocess["fill_color"] if preprocess["resize_mode"] == "longest" else 255,
        "resample": "bilinear" if preprocess["interpolation"] == "bilinear" else "bicubic",
    }
    unset = {name: value for name, value in wanted.items() if name not in config.model_fields_set}
    return config.model_copy(update=unset)
