"""From settings to the images of one split.

DataConfig -> kind of source -> Source -> CaptionedImages of one split
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import get_args

from textdiff.data.base import CaptionedImages
from textdiff.data.coco import open_coco
from textdiff.data.config import DataConfig
from textdiff.data.drawn import DrawnPictures, is_drawn
from textdiff.data.entries import Source, Split
from textdiff.data.folder import Folder
from textdiff.data.hf import HuggingFace
from textdiff.data.karpathy import open_karpathy
from textdiff.data.openmoji import OpenMoji
from textdiff.data.scenes.source import Scenes
from textdiff.data.survey import survey_of
from textdiff.data.tars import Tars, names_tars
from textdiff.errors import DataError, EmptySplitError

SOURCES: dict[str, Callable[[DataConfig], Source]] = {
    "openmoji": OpenMoji,
    "scenes": Scenes,
    "folder": Folder,
    "drawn": DrawnPictures,
    "hf": HuggingFace,
    "tars": Tars,
    "coco": open_coco,
    "karpathy": open_karpathy,
}


def open_data(config: DataConfig, split: str = "train") -> CaptionedImages:
    """The "train", "val", "test" or "all" images of `config.source`.

    Raises:
        DataError: no such source, unusable captions, or an empty split.
        UsageError: a package that the source needs is missing.
    """
    if split not in (*get_args(Split), "all"):
        raise DataError(f"unknown split '{split}': train, val, test or all")
    return open_split(read_source(config), config, split)


def open_split(source: Source, config: DataConfig, split: str) -> CaptionedImages:
    """As `open_data`, of a source that was read. Raises DataError."""
    survey = survey_of(source, len(source.entries))
    survey.check(config.source, config.max_bad_fraction)
    if not source.entries:
        raise DataError(f"{config.source} holds no captioned images")
    data = CaptionedImages(source, config, split)
    if not len(data):
        raise EmptySplitError(
            f"{config.source}: its {split} split is empty; {_remedy(data, split)}"
        )
    return data


def open_as_it_is(config: DataConfig) -> CaptionedImages:
    """All images, however many rows and files are flawed, to look at. Raises as `open_data`."""
    return CaptionedImages(read_source(config), config, "all")


def read_source(config: DataConfig) -> Source:
    return SOURCES[source_kind(config)](config)


def _remedy(data: CaptionedImages, split: str) -> str:
    stated = sorted(data.stated_splits)
    if data.all_stated and "train" not in stated:  # what is stated to be train can be held out
        return (
            f"all its {data.num_in_source} images are stated to be {' or '.join(stated)}, by the "
            f"names of files and folders or a column 'split'; use that split, add a {split} split "
            "or name the files otherwise"
        )
    if split == "train":
        return "lower val_fraction and test_fraction, or use more images"
    return f"raise {split}_fraction or give the data a {split} split of their own"


def source_kind(config: DataConfig) -> str:
    """A key of SOURCES: config.kind, or what "auto" finds `config.source` to be.

    Raises:
        DataError: a source of no known kind.
    """
    source = config.source
    if config.kind != "auto":
        return config.kind
    if source in ("openmoji", "scenes"):
        return source
    if Path(source).expanduser().is_dir():
        return "drawn" if is_drawn(source) else "folder"
    if names_tars(source):
        return "tars"
    if source.endswith(".parquet") or re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", source):
        return "hf"
    raise DataError(
        f"data source '{source}' is not 'openmoji' or 'scenes', not an existing folder, not "
        ".parquet or .tar files, and not a Hugging Face name such as owner/name; correct it, or "
        "set kind"
    )
