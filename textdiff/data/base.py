"""One split of a captioned image set, whatever its source.

    DataConfig -> source (entries, read) -> split of each entry -> CaptionedImages of one split

Captions and names are known without decoding. Two entries of one group (variants of one emoji)
always share a split.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import torch
from torch import Tensor

from textdiff.config import nearest
from textdiff.data.config import DataConfig
from textdiff.data.decode import BadImage
from textdiff.errors import DataError, EmptySplitError
from textdiff.randomness import seed_of

Split = Literal["train", "val", "test"]
SPLIT_NAMES: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "dev": "val",
    "test": "test",
}


@dataclass(frozen=True, slots=True)
class Entry:
    """What a source knows of an image before decoding it."""

    identifier: str  # unique within the source, the same on every machine
    captions: tuple[str, ...]  # one or more; an empty one alone makes the image unusable
    group: str  # entries of one group stay on one side of the split
    split: Split | None = None  # where the data say so themselves


class Source(Protocol):
    """Where images come from. Sources travel to loader workers, so they must pickle small."""

    entries: list[Entry]
    attribution: str | None

    def read(self, index: int) -> Tensor:
        """(3, S, S) uint8 of entry `index`. Raises BadImage."""
        ...

    def original_size(self, index: int) -> tuple[int, int]:
        """(width, height) before resizing. Raises BadImage."""
        ...


class CaptionedImages:
    """One split. Indices run over this split only.

    An image that cannot be used is noted in `bad` (index -> reason) once. `read` replaces it by the
    next usable index, cyclically, so the same data always give the same replacement.
    """

    def __init__(self, source: Source, config: DataConfig, split: str):
        splits = assign_splits(source.entries, config.val_fraction, config.test_fraction)
        self._source = source
        self._indices = [i for i, name in enumerate(splits) if split in ("all", name)]
        entries = [source.entries[i] for i in self._indices]
        self._max_bad_fraction = config.max_bad_fraction
        self._num_in_source = len(source.entries)
        self.name, self.config = config.source, config
        self.split = split
        self.image_size = config.image_size
        self.attribution = source.attribution
        self.identifiers: list[str] = [entry.identifier for entry in entries]
        self.captions: list[list[str]] = [list(entry.captions) for entry in entries]
        self.splits: list[Split] = [splits[i] for i in self._indices]
        self.bad: dict[int, str] = {}
        looks = config.model_dump(include={"image_size", "resize", "resample"})
        if config.style != "colour":
            looks["style"] = config.style
        content = json.dumps([looks, self.identifiers, self.captions], sort_keys=True)
        self.fingerprint: str = hashlib.sha256(content.encode()).hexdigest()

    def __len__(self) -> int:
        return len(self._indices)

    @property
    def all_captions(self) -> list[str]:
        """The captions of all images in one list, repeats included."""
        return [text for captions in self.captions for text in captions]

    @property
    def rejected(self) -> Counter[str]:
        """How many images were found unusable so far, by reason."""
        return Counter(self.bad.values())

    def image(self, index: int) -> Tensor:
        """(3, S, S) uint8. Raises BadImage, which names the image."""
        try:
            if not any(self.captions[index]):
                raise BadImage("no caption")
            return self._source.read(self._indices[index])
        except BadImage as error:
            raise BadImage(error.reason, self.identifiers[index]) from error

    def images(self, indices: Sequence[int]) -> Tensor:
        """(n, 3, S, S) uint8. Raises BadImage."""
        return torch.stack([self.image(int(index)) for index in indices])

    def original_size(self, index: int) -> tuple[int, int]:
        """(width, height) of the image as stored. Raises BadImage."""
        return self._source.original_size(self._indices[index])

    def read(self, indices: Sequence[int]) -> tuple[list[int], Tensor]:
        """Images (n, 3, S, S) uint8 with unusable ones replaced, and the n indices really used:
        captions go with those.

        Raises:
            DataError: more than `max_bad_fraction` of the whole source turned out unusable.
        """
        drawn = [self._first_usable(int(index)) for index in indices]
        return [index for index, _ in drawn], torch.stack([image for _, image in drawn])

    def usable(self, indices: Sequence[int]) -> tuple[list[int], Tensor]:
        """Those of `indices` whose images can be used, and these images. Raises as `read`."""
        used, images = self.read(indices)
        kept = [k for k, index in enumerate(indices) if used[k] == index]
        return [used[k] for k in kept], images[kept]

    def note_bad(self, found: Mapping[int, str]) -> None:
        """Adds unusable images (index -> reason), found here or in a worker. Raises as `read`."""
        self.bad.update(found)
        if len(self.bad) > self._max_bad_fraction * self._num_in_source:
            first = min(self.bad)
            reasons = ", ".join(f"{reason} ({n})" for reason, n in self.rejected.most_common())
            raise DataError(
                f"{self.name}: {len(self.bad)} of {self._num_in_source} images cannot be used, "
                f"more than max_bad_fraction = {self._max_bad_fraction}; first: "
                f"{self.identifiers[first]}; reasons: {reasons}; "
                f"'textdiff data info {self.name}' looks at all of them"
            )

    def _first_usable(self, index: int) -> tuple[int, Tensor]:
        for offset in range(len(self)):
            candidate = (index + offset) % len(self)
            if candidate in self.bad:
                continue
            try:
                return candidate, self.image(candidate)
            except BadImage as error:
                self.note_bad({candidate: error.reason})
        raise DataError(f"{self.name}: no image of split '{self.split}' can be used")


def open_data(config: DataConfig, split: str = "train") -> CaptionedImages:
    """The "train", "val", "test" or "all" images of `config.source`.

    Raises:
        DataError: no such source, unusable captions, or an empty split.
        UsageError: a package that the source needs is missing.
    """
    from textdiff.data.folder import Folder  # the sources build on this module
    from textdiff.data.hf import HuggingFace
    from textdiff.data.openmoji import OpenMoji

    if split not in ("train", "val", "test", "all"):
        raise DataError(f"unknown split '{split}': train, val, test or all")
    kind = source_kind(config)
    source = {"openmoji": OpenMoji, "folder": Folder, "hf": HuggingFace}[kind](config)
    if not source.entries:
        raise DataError(f"{config.source} holds no captioned images")
    data = CaptionedImages(source, config, split)
    if not len(data):
        cure = (
            "lower val_fraction and test_fraction, or use more images"
            if split == "train"
            else f"raise {split}_fraction or give the data a {split} split of their own"
        )
        raise EmptySplitError(f"{config.source}: its {split} split is empty; {cure}")
    return data


def source_kind(config: DataConfig) -> str:
    """config.kind, with "auto" resolved by looking at the source. Raises DataError."""
    source = config.source
    if config.kind != "auto":
        return config.kind
    if source == "openmoji":
        return "openmoji"
    if Path(source).expanduser().is_dir():
        return "folder"
    if source.endswith(".parquet") or re.fullmatch(r"[\w-][\w.-]*/[\w-][\w.-]*", source):
        return "hf"
    raise DataError(
        f"data source '{source}' is not 'openmoji', not an existing folder, not a .parquet file or "
        "glob, and not a Hugging Face name such as owner/name; correct it, or set kind"
    )


def choose(entries: list[Entry], max_images: int | None) -> list[Entry]:
    """At most `max_images` entries, those with the lowest hash, in their given order."""
    if max_images is None or max_images >= len(entries):
        return entries
    lowest = sorted(range(len(entries)), key=lambda i: seed_of("choose", entries[i].identifier))
    return [entries[i] for i in sorted(lowest[:max_images])]


def assign_splits(
    entries: Sequence[Entry], val_fraction: float, test_fraction: float
) -> list[Split]:
    """The split of each entry: its own if it has one, else by the hash u in [0, 1) of its group.

    u < val_fraction: val; u < val_fraction + test_fraction: test; else train. So an image keeps its
    side when others are added. A split that a small set would leave empty gets the group with the
    lowest u left. Splits that the data have themselves receive nothing by hash.
    """
    given = {entry.split for entry in entries}
    open_groups = {entry.group for entry in entries if entry.split in (None, "train")}
    remaining = sorted((seed_of("split", group) / 2**63, group) for group in open_groups)
    held_out: dict[str, Split] = {}
    below = 0.0
    for split, fraction in (("val", val_fraction), ("test", test_fraction)):
        if split in given or fraction == 0:
            continue
        below += fraction
        taken = [group for u, group in remaining if u < below]
        if not taken and len(remaining) > 1:
            taken = [remaining[0][1]]
        held_out.update(dict.fromkeys(taken, split))
        remaining = remaining[len(taken) :]
    return [
        entry.split if entry.split in ("val", "test") else held_out.get(entry.group, "train")
        for entry in entries
    ]


def pick_column(
    wanted: str | None, usual: Sequence[str], columns: Sequence[str], where: str
) -> str:
    """The column `wanted`, or the first of `usual` that there is. Raises DataError."""
    if wanted is None:
        for name in usual:
            if name in columns:
                return name
        raise DataError(
            f"{where}: none of the columns {', '.join(usual)}; it has {_listed(columns)}"
        )
    if wanted not in columns:
        hint = nearest(wanted, list(columns))
        raise DataError(f"{where}: no column '{wanted}'; it has {_listed(columns)}; {hint}")
    return wanted


def _listed(columns: Sequence[str]) -> str:
    return ", ".join(map(str, columns)) or "none"
