"""Shards of webdataset: tar files in which the members of one key make a captioned image.

    0001.jpg  0001.txt    one caption per line
    0001.jpg  0001.json   {"text": "a red apple"}   or "caption", or "captions": ["...", "..."]
    0001.jpg  0001.cls    the number of its class, where `label_column` is cls

    source ──► shards ──► members (tar_index) ──► samples by key (tar_samples) ──► entries
    entry  ──► bytes of its picture, by offset (shards) ──► the guard (decode)

Any order is as quick as the stored one, so that tars are shuffled, resumed, held out and cached as
other sources are. `split` in the JSON states the split, or else a folder in the tar that is named
like one, or the name or folder of the shard.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from textdiff.data.config import DataConfig
from textdiff.data.decode import SUFFIXES, BadImage, decode_image, stated_size
from textdiff.data.entries import Entry, Split, choose
from textdiff.data.file_patterns import base_of, expand_braces, files_of, split_of_file
from textdiff.data.metadata import (
    Stated,
    json_object,
    stated,
)
from textdiff.data.shards import Shard
from textdiff.data.split_names import split_of_folder
from textdiff.data.survey import Flaw, FlawedError, Survey
from textdiff.data.tar_index import compressed, members_of
from textdiff.data.tar_samples import TEXTS, Sample, picture_of, samples_of, why_ignored
from textdiff.data.text import as_utf_8
from textdiff.errors import DataError

CAPTION_COLUMNS = ("txt", "text", "caption", "captions")
CLASS = "cls"  # extension of a file that holds the number of a class
COMPRESSED_TAR = re.compile(r"\.(tar\.(gz|bz2|xz|zst|lz4)|tgz|tbz2|txz)$")
NO_FILE = re.compile(r"pipe:|\w+://|.*::")
LONGEST_TEXT = 2**20  # bytes
BYTES_PER_PIXEL = 8  # of the largest kind that is read, 16-bit RGBA
ROOM = 2**20  # bytes that a picture may have besides


class Tars:
    """A `Source` of the captioned images in tar files, `Surveyed`."""

    entries: list[Entry]
    survey: Survey
    attribution: str | None = None

    def __init__(self, config: DataConfig) -> None:
        self._config = config
        self._texts = (*TEXTS, CLASS) if config.label_column == CLASS else TEXTS
        base, paths = base_of(config.source), shards_of(config.source)
        self._shards = [Shard.at(path) for path in paths]
        self._places: dict[str, tuple[int, int, int]] = {}  # shard, offset, size by identifier
        self._flaws: list[Flaw] = []
        self._ignored: dict[str, list[str]] = {}
        texts = 0
        entries: list[Entry] = []
        bar = tqdm(paths, desc="reading headers", unit="shard", leave=False, disable=None)
        for number, path in enumerate(bar):
            name, split = as_utf_8(path.relative_to(base).as_posix()), split_of_file(path, base)
            for entry, sample in self._captioned(number, name, split):
                entries.append(entry)
                texts += len(sample.keys() & set(self._texts))
        if not entries and not self._flaws:
            kinds = ", ".join(sorted(suffix[1:] for suffix in SUFFIXES))
            raise DataError(f"{config.source} holds no images; known kinds: {kinds}")
        self.survey = Survey(
            seen=len(entries) + len(self._flaws),
            flaws=self._flaws,
            ignored=self._ignored,
            used={"shards": len(paths), "pictures": len(entries), "caption files": texts},
        )
        self.entries = choose(entries, config.max_images)
        self._places = {e.identifier: self._places[e.identifier] for e in self.entries}

    def read(self, index: int) -> Tensor:
        return decode_image(self._encoded(index), self._config)

    def original_size(self, index: int) -> tuple[int, int]:
        return stated_size(self._encoded(index), self._config)

    def files(self, indices: Sequence[int]) -> list[Path]:
        shards = {self._places[self.entries[index].identifier][0] for index in indices}
        return [Path(self._shards[number].path) for number in sorted(shards)]

    def version(self) -> str:
        """Changes with any shard's size or time of change."""
        states = [(shard.size, shard.changed) for shard in self._shards]
        return hashlib.sha256(json.dumps(states).encode()).hexdigest()

    def _encoded(self, index: int) -> bytes:
        shard, offset, size = self._places[self.entries[index].identifier]
        if size > BYTES_PER_PIXEL * self._config.max_pixels + ROOM:
            raise BadImage("too many bytes")
        return self._shards[shard].read(offset, size)

    def _captioned(
        self, number: int, name: str, split: Split | None
    ) -> Iterator[tuple[Entry, Sample]]:
        """Of one shard; notes the flaws, what is ignored, and where the pictures are."""
        shard = self._shards[number]
        samples = samples_of(members_of(shard, self._config), name)
        self._flaws += samples.flaws
        for reason, members in samples.ignored.items():
            self._ignored.setdefault(reason, []).extend(members)
        for key, sample in samples.of.items():
            try:
                extension = picture_of(sample, self._config.image_column)
                said = said_of(sample, shard, self._config, self._texts) if extension else None
            except FlawedError as error:
                self._flaws.append(error.at(f"{name}/{key}"))
                continue
            used = {extension, *self._texts} if extension else set()
            for other in sorted(sample.keys() - used):
                where = f"{name}/{sample[other].name}"
                self._ignored.setdefault(why_ignored(other), []).append(where)
            if extension and said:
                picture = sample[extension]
                identifier = f"{name}/{picture.name}"
                self._places[identifier] = (number, picture.offset, picture.size)
                own = said.split or split_of_folder(picture.name) or split
                captions = tuple(said.captions) or ("",)
                yield Entry(identifier, captions, identifier, own, label=said.label), sample


def names_tars(source: str) -> bool:
    """Whether a source is written like tar files, though they may be of a kind that is refused."""
    if COMPRESSED_TAR.search(source) or source.endswith(".tar"):
        return True
    return "{" in source and expand_braces(source)[0].endswith(".tar")


def shards_of(source: str) -> list[Path]:
    """Raises DataError of what is no plain tar file here."""
    if NO_FILE.match(source):
        raise DataError(
            f"{source}: only files are read, no commands and no addresses; download the shards"
        )
    if COMPRESSED_TAR.search(source):
        raise compressed(source, "by its name")
    return files_of(source, "tar file")


def said_of(sample: Sample, shard: Shard, config: DataConfig, texts: Sequence[str]) -> Stated:
    """What the members beside a picture say of it. texts: their extensions. Raises FlawedError."""
    columns: dict[str, Any] = {}
    for extension in sorted(sample.keys() & set(texts)):
        member = sample[extension]
        if member.size > LONGEST_TEXT:
            detail = f"its {extension} has more than {LONGEST_TEXT:,} bytes"
            raise FlawedError("long text", detail)
        try:
            content = shard.read(member.offset, member.size)
        except BadImage as error:
            raise FlawedError("unreadable caption", f"{extension}: {error.reason}") from None
        columns |= json_object(content) if extension == "json" else {extension: content}
    if not columns and config.need_captions:
        raise FlawedError("no caption", "no caption; give it a .txt or .json of the same key")
    return stated(columns, CAPTION_COLUMNS, config)
