"""The pictures behind the rows, opened again where they came from.

What an index keeps of a source is the `DataConfig` that opens all of it: every split, whatever the
size of the pictures and how many of them were taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL.Image import Image

from textdiff.config import build
from textdiff.data import CaptionedImages, DataConfig, to_pil
from textdiff.data.decode import BadImage
from textdiff.data.of_run import IN_FOLDERS
from textdiff.data.open import read_source, source_kind
from textdiff.errors import DataError
from textdiff.retrieval.manifest import IndexedSource

# Settings that do not decide which pictures a source has, or what their names are.
PASSING = (
    *("image_size", "resize", "resample", "pad_level", "min_side", "max_pixels"),
    *("max_bad_fraction", "max_captions", "val_fraction", "test_fraction", "outside_files"),
    *("cache_dir", "cache", "subset", "skin_tones"),
)


def whole_source(config: DataConfig) -> DataConfig:
    """`config` changed to open every picture of its source, from any folder. Raises DataError."""
    kind = source_kind(config)
    return config.model_copy(
        update={
            "source": located(config.source, kind),
            "kind": kind,
            "cache_dir": str(Path(config.cache_dir).resolve()) if config.cache_dir else None,
            "max_images": None,
            "need_captions": False,
            "label_column": None,
            "max_bad_fraction": 1.0,
        }
    )


def widened(settings: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """`settings` changed to open what `other` opens besides, of `same_pictures`."""
    subset = settings["subset"] if settings["subset"] == other["subset"] else "all"
    skin_tones = settings["skin_tones"] or other["skin_tones"]
    return {**settings, "subset": subset, "skin_tones": skin_tones}


def located(source: str, kind: str) -> str:
    """A path as one that holds everywhere on this machine, patterns included; names as they are."""
    on_disk = kind in (*IN_FOLDERS, "tars") or source.endswith(".parquet")
    return str(Path(source).expanduser().resolve()) if on_disk else source


def same_pictures(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two settings open the same pictures under the same names."""
    decisive = (one.keys() | other.keys()) - {*PASSING}
    return all(one.get(name) == other.get(name) for name in decisive)


@dataclass(frozen=True)
class OpenedSource:
    """Pictures of a source by their names, of `data`."""

    data: CaptionedImages
    index_of: Mapping[str, int] = field(repr=False)


def open_source(source: IndexedSource, size: int | None = None) -> OpenedSource:
    """size: of the pictures, None: as the index' CLIP sees them.

    Raises:
        DataError: the source is not where it was, or cannot be read.
    """
    settings = dict(source.settings) | ({"image_size": size} if size else {})
    config = build(DataConfig, [(f"the index' source {source.name}", settings)])
    if config.kind in IN_FOLDERS and not Path(config.source).is_dir():
        raise DataError(f"{config.source} is not there any more; {_remedy(source)}")
    try:
        data = CaptionedImages(read_source(config), config, "all")
    except DataError as error:
        raise DataError(
            f"{source.name} cannot be opened again: {error}; {_remedy(source)}"
        ) from None
    return OpenedSource(data, {name: index for index, name in enumerate(data.identifiers)})


def read_picture(source: IndexedSource, opened: OpenedSource, identifier: str) -> Image:
    """Raises DataError: the source has it no more, or it cannot be used."""
    index = opened.index_of.get(identifier)
    if index is None:
        changed = opened.data.fingerprint != source.fingerprint
        since = ", which changed since it was indexed" if changed else ""
        raise DataError(f"{identifier} is not in {source.name}{since}; {_remedy(source)}")
    try:
        return to_pil(opened.data.image(index)[None])[0]
    except BadImage as error:
        raise DataError(f"{source.name}: {error}; {_remedy(source)}") from None


def _remedy(source: IndexedSource) -> str:
    return (
        f"put it back, or 'textdiff index remove --source {source.name}' and add it from where it "
        "is now"
    )
