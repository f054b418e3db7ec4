"""Whether a training would run on a source, and everything that it would meet there.

    source, read once ── each picture decoded once ──► counts by reason, sizes, lengths, repeats
                      └─ asked as training asks ─────► whether it runs, which picture stands in

Nothing here has an opinion of its own: rows and files are refused by the source, pictures by the
guard (`decode`), and what is too much is known to `open_split` and `CaptionedImages`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from textdiff.data.base import CaptionedImages
from textdiff.data.config import DataConfig
from textdiff.data.entries import Source, Split
from textdiff.data.histogram import Range, by_doubling, histogram
from textdiff.data.inspect import DataReport, Inspection, inspect
from textdiff.data.open import open_split, read_source
from textdiff.errors import DataError, EmptySplitError

ASPECTS = (1.0, 1.1, 1.35, 1.6, 2.0, 3.0, 5.0, 10.0)  # longer by shorter side
TRAINED_WITH = ("train", "val")  # splits that a training opens
MOST_ALIKE = 50  # groups that are listed


@dataclass(frozen=True)
class SplitCount:
    """images: that have a caption and a file. usable: of these."""

    images: int
    usable: int


@dataclass(frozen=True)
class DataCheck:
    """trouble: why a training would not run, None: it would. rows: and files that were looked at.
    replacements: the picture that is read in place of each unusable one, by name, within its split.
    shorter_side, aspect: of usable pictures as they are stored. caption_tokens: of all captions.
    alike: names of pictures that are the same, the first groups."""

    trouble: str | None
    report: DataReport
    rows: int
    splits: dict[str, SplitCount]
    replacements: dict[str, str]
    shorter_side: list[Range]
    aspect: list[Range]
    caption_tokens: list[Range]
    alike: list[list[str]]


@dataclass(frozen=True)
class Checked:
    """inspection: of `data`, for who shows some of its pictures."""

    check: DataCheck
    data: CaptionedImages
    inspection: Inspection


def check_data(config: DataConfig, context_length: int) -> Checked:
    """Goes through all of `config.source`, picture by picture, however much of it is unusable.

    Args:
        context_length: tokens that a text encoder sees, start and end token included.

    Raises:
        DataError: no such source, or one that cannot be read as a whole.
    """
    source = read_source(config)
    data = CaptionedImages(source, config, "all")
    inspection = inspect(data, context_length)
    bad = {data.identifiers[index]: reason for index, reason in inspection.bad.items()}
    views = {split: CaptionedImages(source, config, split) for split in get_args(Split)}
    unusable = {split: _among(view, bad) for split, view in views.items()}
    check = DataCheck(
        trouble=_trouble(source, config, bad),
        report=inspection.report,
        rows=data.survey.seen,
        splits={
            split: SplitCount(len(view), len(view) - len(unusable[split]))
            for split, view in views.items()
        },
        replacements={
            name: other
            for split, view in views.items()
            for name, other in _replacements(view, unusable[split]).items()
        },
        shorter_side=by_doubling([min(size) for size in inspection.sizes]),
        aspect=histogram([max(size) / min(size) for size in inspection.sizes], ASPECTS),
        caption_tokens=by_doubling(inspection.lengths),
        alike=[
            [data.identifiers[index] for index in group] for group in inspection.alike[:MOST_ALIKE]
        ],
    )
    return Checked(check, data, inspection)


def _among(view: CaptionedImages, bad: Mapping[str, str]) -> dict[int, str]:
    """Those of the pictures `bad`, reason by name, that are in a split, by index."""
    return {k: bad[name] for k, name in enumerate(view.identifiers) if name in bad}


def _trouble(source: Source, config: DataConfig, bad: Mapping[str, str]) -> str | None:
    """What a training that meets all the pictures `bad` would end with; None: nothing."""
    for split in TRAINED_WITH:
        try:
            view = open_split(source, config, split)
            view.note_bad(_among(view, bad))
            if len(view.bad) == len(view):
                raise DataError(f"{view.name}: no image of split '{split}' can be used")
        except EmptySplitError as error:
            if split == "train":
                return str(error)
        except DataError as error:
            return str(error)
    return None


def _replacements(view: CaptionedImages, unusable: Mapping[int, str]) -> dict[str, str]:
    view.bad.update(unusable)
    return {
        view.identifiers[index]: view.identifiers[other]
        for index, other in view.replacements().items()
    }
