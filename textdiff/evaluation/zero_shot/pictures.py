"""The pictures that are classified, and their features, a chunk at a time."""

from __future__ import annotations

from collections.abc import Iterator

from textdiff.clip.features import CHUNK
from textdiff.data import CaptionedImages, DataConfig, open_data
from textdiff.evaluation.features.cached import CachedFeatures
from textdiff.types import Features


def open_pictures(config: DataConfig, split: str | None, trained_on: bool) -> CaptionedImages:
    """Those of a split; captions are not needed.

    Args:
        split: None: test of data that state one or that the CLIP was trained on, else all.
        trained_on: whether it was.

    Raises:
        DataError: no such data, or an empty split.
    """
    config = config.model_copy(update={"need_captions": False})
    if split is None:
        data = open_data(config, "all")
        if not trained_on and "test" not in data.stated_splits:
            return data
    return open_data(config, split or "test")


def features_of(by: CachedFeatures, data: CaptionedImages) -> Iterator[tuple[list[int], Features]]:
    """Indices and features (m, E) of the pictures that can be used, up to `CHUNK` at a time.

    Raises:
        DataError: too many pictures cannot be used. CheckpointError: features that are not finite.
    """
    found = by.of_split(data)
    for start in range(0, len(found), CHUNK):
        yield found.positions[start : start + CHUNK], found.features[start : start + CHUNK]
