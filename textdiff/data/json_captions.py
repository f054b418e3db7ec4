"""A folder of pictures whose captions are in one JSON file, as benchmarks are published.

    JSON file ── coco.py, karpathy.py ──► rows: name, captions, split ──► entries, in their order
    entry     ── its picture, below the folder ──► the guard (decode)

Every picture that the file names must be there. A folder of training pictures alone may be missing
as a whole, for who only evaluates: its pictures are left out, and counted.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from textdiff.data.config import DataConfig
from textdiff.data.decode import decode_image, stated_size
from textdiff.data.entries import Entry, Split, choose
from textdiff.data.listed_folders import ListedFolders
from textdiff.data.survey import Flaw, FlawedError, Survey
from textdiff.errors import DataError

ABSENT = "training picture of a folder that is not here"


@dataclass(frozen=True, slots=True)
class Row:
    """name: of the picture, from the folder on. captions: possibly none."""

    name: str
    captions: tuple[str, ...]
    split: Split | None


class JsonCaptions:
    """A `Source` of the pictures that `rows` name, `Surveyed`."""

    entries: list[Entry]
    survey: Survey
    attribution: str | None = None

    def __init__(self, config: DataConfig, file: Path, rows: Iterable[Row | Flaw]) -> None:
        """file: that the rows are from.

        Raises:
            DataError: a folder of pictures is not there, or labels are asked for.
        """
        if config.label_column is not None:
            raise DataError(f"{file} has no labels; leave label_column out")
        self._config, self._root, self._file = config, Path(config.source).expanduser(), file
        folders = ListedFolders(self._root, config.outside_files)
        entries: dict[str, Entry] = {}
        flaws: list[Flaw] = []
        absent: list[str] = []
        for row in rows:
            if isinstance(row, Flaw):
                flaws.append(row)
                continue
            try:
                if not self._is_here(row, folders):
                    absent.append(row.name)
                    continue
                if row.name in entries:
                    raise FlawedError("listed twice", "listed twice; leave one out")
                entries[row.name] = self._entry(row)
            except FlawedError as error:
                flaws.append(error.at(f"{file}, {row.name}"))
        if absent and not entries and not flaws:
            raise self._no_folder(absent[0])
        self.survey = Survey(
            seen=len(entries) + len(flaws),
            flaws=flaws,
            ignored={ABSENT: absent} if absent else {},
            used={"pictures": len(entries), "caption files": 1},
        )
        self.entries = choose(list(entries.values()), config.max_images)

    def read(self, index: int) -> Tensor:
        return decode_image(self._path(index), self._config)

    def original_size(self, index: int) -> tuple[int, int]:
        return stated_size(self._path(index), self._config)

    def files(self, indices: Sequence[int]) -> list[Path]:
        return [self._path(index) for index in indices]

    def version(self) -> str:
        """Changes with any picture's size or time of change."""
        digest = hashlib.sha256()
        for index in range(len(self.entries)):
            try:
                status = self._path(index).stat()
                digest.update(f"{status.st_size} {status.st_mtime_ns},".encode())
            except OSError:
                digest.update(b"missing,")
        return digest.hexdigest()

    def _path(self, index: int) -> Path:
        return self._root / self.entries[index].identifier

    def _is_here(self, row: Row, folders: ListedFolders) -> bool:
        """Whether the folder of a row's picture is, which only one to train on may not be.

        Raises:
            FlawedError: the picture is not in it. DataError: it is not here.
        """
        folder, name = os.path.split(row.name)
        if folders.has(folder):
            folders.check(folder, name)
            return True
        if row.split != "train":
            raise self._no_folder(row.name)
        return False

    def _entry(self, row: Row) -> Entry:
        """Raises FlawedError where captions are needed and there are none."""
        if not row.captions and self._config.need_captions:
            raise FlawedError("no caption", "a picture without captions")
        return Entry(row.name, row.captions or ("",), row.name, row.split)

    def _no_folder(self, picture: str) -> DataError:
        folder, name = os.path.split(self._root / picture)
        return DataError(
            f"{folder} does not exist; {self._file} names pictures there, such as {name}"
        )
