"""An image folder with captions in one of three forms.

    metadata.jsonl   {"file_name": "a.png", "text": "a red apple"}   or "text": ["...", "..."]
    metadata.csv     file_name,text                                  several rows: several captions
    a.png + a.txt    one caption per line                            where there is no metadata file

File names are relative to the metadata file, which may lie in a sub-folder. A first sub-folder
named train, val (valid, validation, dev) or test fixes the split; so does a column `split`.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from torch import Tensor

from textdiff.data.columns import pick_column
from textdiff.data.config import DataConfig
from textdiff.data.decode import SUFFIXES, decode_image, stated_size
from textdiff.data.entries import SPLIT_NAMES, Entry, Split, choose
from textdiff.errors import DataError

IMAGE_COLUMNS = ("file_name", "image", "filename", "path")
CAPTION_COLUMNS = ("text", "caption", "captions")
Row = tuple[str, dict[str, Any]]  # its place, such as "metadata.csv, line 3", and its columns


class Folder:
    """A `Source` of the images under a folder."""

    entries: list[Entry]
    attribution: str | None = None

    def __init__(self, config: DataConfig) -> None:
        self._root = Path(config.source).expanduser()
        self._config = config
        if not self._root.is_dir():
            raise DataError(f"image folder {self._root} does not exist")
        files = sorted(path for path in self._root.rglob("*") if path.is_file())
        images = [self._name(path) for path in files if path.suffix.lower() in SUFFIXES]
        if not images:
            hint = (
                f"; for its parquet files give '{self._root}/*.parquet'"
                if any(path.suffix == ".parquet" for path in files)
                else f"; known kinds: {', '.join(sorted(SUFFIXES))}"
            )
            raise DataError(f"{self._root} holds no images{hint}")
        tables = [path for path in files if path.name in ("metadata.jsonl", "metadata.csv")]
        entries = self._from_tables(tables) if tables else self._from_sidecars(images)
        lacking = sorted(set(images) - {entry.identifier for entry in entries})
        if lacking:
            home = "a row of the metadata file" if tables else "a .txt file of the same name"
            raise DataError(
                f"{self._root}: {len(lacking)} of {len(images)} images have no caption, first "
                f"{lacking[0]}; give each {home} or move it away"
            )
        self.entries = choose(entries, config.max_images)

    def read(self, index: int) -> Tensor:
        return decode_image(self._root / self.entries[index].identifier, self._config)

    def original_size(self, index: int) -> tuple[int, int]:
        return stated_size(self._root / self.entries[index].identifier, self._config)

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()

    def _from_sidecars(self, images: list[str]) -> list[Entry]:
        entries = []
        for name in images:
            sidecar = (self._root / name).with_suffix(".txt")
            if not sidecar.is_file():
                continue
            captions = [line.strip() for line in _read_text(sidecar).splitlines() if line.strip()]
            if not captions:
                raise DataError(f"{sidecar} holds no caption")
            entries.append(Entry(name, tuple(captions), name, _split_of_folder(name)))
        return entries

    def _from_tables(self, tables: list[Path]) -> list[Entry]:
        captions: dict[str, list[str]] = {}
        splits: dict[str, Split | None] = {}
        for table in tables:
            for where, row in _rows(table):
                image_column = pick_column(
                    self._config.image_column, IMAGE_COLUMNS, list(row), where
                )
                caption_column = pick_column(
                    self._config.caption_column, CAPTION_COLUMNS, list(row), where
                )
                name = self._inside(table.parent, row[image_column], where)
                captions.setdefault(name, []).extend(
                    _captions(row[caption_column], caption_column, where)
                )
                splits[name] = _stated_split(row, where) or _split_of_folder(name)
        return [Entry(name, tuple(captions[name]), name, splits[name]) for name in sorted(captions)]

    def _inside(self, folder: Path, file_name: Any, where: str) -> str:
        """The image's name relative to the root. Raises DataError unless it exists there."""
        if not isinstance(file_name, str) or not file_name.strip():
            raise DataError(f"{where}: the file name is empty or no text")
        shown = file_name[:100]
        name = Path(os.path.normpath(folder.relative_to(self._root) / file_name)).as_posix()
        if Path(name).is_absolute() or name.startswith(".."):
            raise DataError(f"{where}: image '{shown}' lies outside the folder {self._root}")
        if not _is_file(self._root / name):
            raise DataError(f"{where}: image '{shown}' does not exist in {folder}")
        return name


def _rows(table: Path) -> Iterator[Row]:
    text = _read_text(table)
    if table.suffix == ".csv":
        reader = csv.DictReader(text.splitlines(keepends=True), restkey="", strict=True)
        try:
            for row in reader:
                where = f"{table}, line {reader.line_num}"
                if "" in row:
                    raise DataError(f"{where}: more fields than columns; quote a text with commas")
                yield where, row
        except csv.Error as error:
            raise DataError(f"{table}, line {reader.line_num}: not valid CSV: {error}") from None
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{table}, line {number}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{where}: not valid JSON: {error.msg}") from None
        if not isinstance(row, dict):
            raise DataError(f"{where}: needs an object such as {{'file_name': ..., 'text': ...}}")
        yield where, row


def _captions(value: Any, column: str, where: str) -> list[str]:
    captions = value if isinstance(value, list) else [value]
    if not captions or not all(isinstance(text, str) and text.strip() for text in captions):
        raise DataError(f"{where}: '{column}' must be a text or a list of texts, none empty")
    return [text.strip() for text in captions]


def _stated_split(row: dict[str, Any], where: str) -> Split | None:
    value = row.get("split")
    if not value:
        return None
    if str(value).lower() not in SPLIT_NAMES:
        raise DataError(f"{where}: unknown split '{value}'; known: {', '.join(SPLIT_NAMES)}")
    return SPLIT_NAMES[str(value).lower()]


def _split_of_folder(name: str) -> Split | None:
    first, slash, _ = name.partition("/")
    return SPLIT_NAMES.get(first.lower()) if slash else None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # a name that no file can have
        return False


def _read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"{path} cannot be read as UTF-8 text: {error}") from None
