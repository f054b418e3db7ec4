"""Scenes of few kinds, small and quick to render."""

from __future__ import annotations

from pathlib import Path

from textdiff.data import DataConfig

KINDS = ["star", "fish", "apple"]


def small_scenes(cache: Path, **changes: object) -> DataConfig:
    """Pairs of three kinds at 24 x 24 pixels, unless changed; rendered into the folder `cache`."""
    settings = {"level": "pairs", "object_names": KINDS, "scenes": 33, "image_size": 24}
    return DataConfig(source="scenes", cache_dir=str(cache), **(settings | changes))
