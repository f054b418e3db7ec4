"""One split of a captioned image set, whatever its source.

Source (entries, read) -> split of each entry -> CaptionedImages of one split
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from textdiff.data.config import DataConfig
from textdiff.data.decode import BadImage
from textdiff.data.entries import Composed, OnDisk, Source, Split
from textdiff.data.pixel_cache import PixelCache, Versioned, cache_for
from textdiff.data.scenes.facts import Scene
from textdiff.data.scenes.splits import Combinations
from textdiff.data.splits import assign_splits, held_out_notes
from textdiff.data.survey import survey_of
from textdiff.data.text import shown
from textdiff.errors import DataError

# settings that have no say in how the images look or which they are
ELSEWHERE = frozenset({"cache_dir", "max_bad_fraction"})


class CaptionedImages:
    """The images of one split, with their captions. Indices 0..n-1 run over this split only.

    identifiers, captions, splits: of each image, known without decoding it.
    scenes: the facts of each image; None of data that do not state them.
    labels: the class of each image as the data spell it; None of data that do not state it of all.
    combinations: what composed pictures show in training and what is held out; None of others.
    survey: the rows and files that the source met, used or not.
    notes: what a user should know before these images are used, a line each.
    stated_splits: those that the data fix; all_stated: of every image.
    bad: index -> reason of the images that turned out unusable so far. `read` puts the next usable
        image, cyclically, in place of each, so that the same data always give the same images.
    fingerprint: SHA-256 of names, captions, facts and what decides how the images look.
    """

    def __init__(self, source: Source, config: DataConfig, split: str) -> None:
        splits = assign_splits(source.entries, config.val_fraction, config.test_fraction)
        self._source = source
        self._indices = [i for i, name in enumerate(splits) if split in ("all", name)]
        entries = [source.entries[i] for i in self._indices]
        self._max_bad_fraction = config.max_bad_fraction
        self.survey = survey_of(source, len(source.entries))
        self.notes = held_out_notes(
            source.entries, splits, config.val_fraction, config.test_fraction
        )
        if self.survey.flaws:
            self.notes.append(
                f"{len(self.survey.flaws)} of {self.survey.seen} rows and files cannot be used and "
                f"are skipped (first: {self.survey.flaws[0]}); 'textdiff data info "
                f"{config.source}' lists all"
            )
        self.num_in_source = len(source.entries)
        self.stated_splits = {entry.split for entry in source.entries if entry.split}
        self.all_stated = all(entry.split for entry in source.entries)
        self.name, self.config = config.source, config
        self.split = split
        self.image_size = config.image_size
        self.attribution = source.attribution
        self.identifiers: list[str] = [entry.identifier for entry in entries]
        self.captions: list[list[str]] = [
            list(entry.captions[: config.max_captions]) for entry in entries
        ]
        self.splits: list[Split] = [splits[i] for i in self._indices]
        facts = [entry.facts for entry in entries if entry.facts]
        self.scenes: list[Scene] | None = facts if len(facts) == len(entries) else None
        labels = [entry.label for entry in entries if entry.label is not None]
        self.labels: list[str] | None = labels if len(labels) == len(entries) else None
        self.combinations: Combinations | None = (
            source.combinations if isinstance(source, Composed) else None
        )
        self.bad: dict[int, str] = {}
        self._cache: PixelCache | None = None
        looks = config.model_dump(include={"image_size", "resize", "resample"})
        if config.style != "colour":
            looks["style"] = config.style
        if config.resize == "pad" and config.pad_level != 255:
            looks["pad_level"] = config.pad_level
        content: list[Any] = [looks, self.identifiers, self.captions]
        if self.scenes is not None:
            content.append([scene.to_json() for scene in self.scenes])
        if self.labels is not None:
            content.append({"labels": self.labels})
        self.fingerprint: str = hashlib.sha256(
            json.dumps(content, sort_keys=True).encode()
        ).hexdigest()

    def __len__(self) -> int:
        return len(self._indices)

    @property
    def title(self) -> str:
        """What tables and headers call it: source, split and how many images."""
        return f"{self.name}, split {self.split} ({len(self)} image{'s' * (len(self) != 1)})"

    @property
    def group_size(self) -> int:
        """Of neighbours in the training split that always come in one batch."""
        return self.config.group_size

    @property
    def described(self) -> Mapping[str, Any]:
        """The settings that decide which images these are and how they look."""
        return self.config.model_dump(mode="json", exclude=set(ELSEWHERE))

    @property
    def all_captions(self) -> list[str]:
        """The captions of all images in one list, repeats included."""
        return [text for captions in self.captions for text in captions]

    @property
    def rejected(self) -> Counter[str]:
        """How many images turned out unusable so far, by reason."""
        return Counter(self.bad.values())

    def image(self, index: int) -> Tensor:
        """(3, S, S) uint8. Raises BadImage, which names the image."""
        try:
            if self.config.need_captions and not any(self.captions[index]):
                raise BadImage("no caption")
            row = self._indices[index]
            cached = self._cache.get(row) if self._cache else None
            return self._source.read(row) if cached is None else cached
        except BadImage as error:
            raise BadImage(error.reason, self.identifiers[index]) from error

    @property
    def can_cache(self) -> bool:
        """Whether the source's pictures are worth keeping resized."""
        return isinstance(self._source, Versioned)

    @property
    def version(self) -> str | None:
        """Changes when what the source's files hold may have; None of composed pictures, which the
        fingerprint tells whole."""
        return self._source.version() if isinstance(self._source, Versioned) else None

    @property
    def files(self) -> list[Path]:
        """That its pictures are read from, each once; none of composed ones."""
        return self._source.files(self._indices) if isinstance(self._source, OnDisk) else []

    @property
    def is_cached(self) -> bool:
        return self._cache is not None

    def cache_pixels(self) -> Path:
        """Decodes all images of this split that are not in the cache of resized pixels yet, and
        reads from there from now on. Returns its folder.

        Raises:
            DataError: the cache cannot be used, or as `read`.
            ValueError: a source that needs none.
        """
        if not isinstance(self._source, Versioned):
            raise ValueError(f"{self.name} needs no cache")
        cache = cache_for(self._source, self.config)
        index_of = {row: index for index, row in enumerate(self._indices)}
        cache.fill(
            self._indices,
            lambda row: self.image(index_of[row]),
            lambda bad: self.note_bad({index_of[row]: reason for row, reason in bad.items()}),
        )
        self._cache = cache
        return cache.folder

    def images(self, indices: Sequence[int]) -> Tensor:
        """(n, 3, S, S) uint8. Raises BadImage."""
        return torch.stack([self.image(int(index)) for index in indices])

    def original_size(self, index: int) -> tuple[int, int]:
        """(width, height) of the image as stored. Raises BadImage."""
        return self._source.original_size(self._indices[index])

    def read(self, indices: Sequence[int]) -> tuple[list[int], Tensor]:
        """Images (n, 3, S, S) uint8 with unusable ones replaced, and the index of each image that
        was read in the end, by which its captions are found.

        Raises:
            DataError: more than `max_bad_fraction` of the whole source turned out unusable.
        """
        drawn = [self._first_usable(int(index)) for index in indices]
        return [index for index, _ in drawn], torch.stack([image for _, image in drawn])

    def usable(self, indices: Sequence[int]) -> tuple[list[int], Tensor]:
        """Those of `indices` whose images can be used, and these images. Raises as `read`."""
        read, images = self.read(indices)
        intact = [k for k, index in enumerate(indices) if read[k] == index]
        return [read[k] for k in intact], images[intact]

    def note_bad(self, reasons: Mapping[int, str]) -> None:
        """Adds unusable images (index -> reason), met here or in a worker. Raises as `read`."""
        self.bad.update(reasons)
        share = len(self.bad) / self.num_in_source + self.survey.flawed_share
        if share > self._max_bad_fraction:
            first = min(self.bad)
            counts = ", ".join(f"{reason} ({n})" for reason, n in self.rejected.most_common())
            raise DataError(
                f"{self.name}: {len(self.bad)} of {self.num_in_source} images cannot be used, "
                f"more than max_bad_fraction = {self._max_bad_fraction}; first: "
                f"{shown(self.identifiers[first])}; reasons: {counts}; "
                f"'textdiff data info {self.name}' looks at all of them"
            )

    def replacements(self) -> dict[int, int]:
        """For each of `bad` the index that `read` takes in its place; none where all are bad."""
        found: dict[int, int] = {}
        usable = None
        for place in reversed(range(2 * len(self))):  # twice round, for those behind the last
            index = place % len(self)
            if index not in self.bad:
                usable = index
            elif usable is not None:
                found[index] = usable
        return {index: found[index] for index in sorted(found)}

    def _from(self, index: int) -> Iterator[int]:
        """All indices, `index` first, cyclically."""
        return ((index + offset) % len(self) for offset in range(len(self)))

    def _first_usable(self, index: int) -> tuple[int, Tensor]:
        for candidate in self._from(index):
            if candidate in self.bad:
                continue
            try:
                return candidate, self.image(candidate)
            except BadImage as error:
                self.note_bad({candidate: error.reason})
        raise DataError(f"{self.name}: no image of split '{self.split}' can be used")
