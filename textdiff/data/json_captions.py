"""A folder of pictures whose captions are in one JSON file, as benchmarks are published.

    JSON file ── coco.py, karpathy.py ──► rows: name, captions, split ──► entries, in their order
    entry     ── its picture, below the folder ──► the guard (decode)

Every picture that the file names must be there. A folder of training pictures alone may be missing
as a whole, for who only evaluates: its pictures are left out, and counted.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from torch import Tensor

from textdiff.data.config import DataConfig
from textdiff.data.decode import decode_image, stated_size
from textdiff.data.entries import Entry, Split, choose
from textdiff.data.survey import Flaw, FlawedError, Survey
from textdiff.data.text import clean_caption, is_utf_8
from textdiff.data.walk import is_inside
from textdiff.errors import DataError

ABSENT = "training picture of a folder that is not here"
OUTSIDE = "lies outside the folder {root}; --data.outside-files true allows it"


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
        self._config, self._root = config, Path(config.source).expanduser()
        folders = _Folders(self._root, config.outside_files)
        entries: dict[str, Entry] = {}
        flaws: list[Flaw] = []
        absent: list[str] = []
        for row in rows:
            if isinstance(row, Flaw):
                flaws.append(row)
                continue
            try:
                if not folders.holds_folder_of(row, file):
                    absent.append(row.name)
                    continue
                folders.check(row.name)
                if row.name in entries:
                    raise FlawedError("listed twice", "listed twice; leave one out")
                entries[row.name] = self._entry(row)
            except FlawedError as error:
                flaws.append(error.at(f"{file}, {row.name}"))
        if absent and not entries and not flaws:
            first = PurePosixPath(absent[0]).parent
            raise DataError(f"{self._root / first} does not exist; {file} names its pictures there")
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

    def _entry(self, row: Row) -> Entry:
        """Raises FlawedError where captions are needed and there are none."""
        if not row.captions and self._config.need_captions:
            raise FlawedError("no caption", "a picture without captions")
        return Entry(row.name, row.captions or ("",), row.name, row.split)


@dataclass
class _Folders:
    """Which pictures lie below `root`, each folder listed once."""

    root: Path
    outside_files: bool
    listed: dict[str, dict[str, bool]] = field(default_factory=dict)  # file: whether it leads out
    absent: set[str] = field(default_factory=set)

    def holds_folder_of(self, row: Row, file: Path) -> bool:
        """Whether a row's folder is there; only that of training pictures may be missing.

        Raises:
            DataError: another is. FlawedError: a name that leads out of the root.
        """
        parent = PurePosixPath(row.name).parent.as_posix()
        if parent in self.listed or (parent in self.absent and row.split == "train"):
            return parent in self.listed
        path = self.root / parent
        try:
            if not self.outside_files and not is_inside(path, self.root):
                detail = OUTSIDE.format(root=self.root)
                raise FlawedError("file outside the folder", f"its folder {detail}")
            found = list(os.scandir(path))
        except ValueError:  # a name that no file can have
            raise FlawedError("missing file", "no such picture") from None
        except OSError as error:
            if row.split == "train" and isinstance(error, FileNotFoundError):
                self.absent.add(parent)
                return False
            raise DataError(
                f"{path} cannot be read ({error.strerror}): {file} names pictures there, such as "
                f"{PurePosixPath(row.name).name}"
            ) from None
        self.listed[parent] = {
            item.name: item.is_symlink() and not is_inside(item.path, self.root)
            for item in found
            if item.is_file()
        }
        return True

    def check(self, name: str) -> None:
        """Raises FlawedError where no picture of this name may be read."""
        path = PurePosixPath(name)
        leads_out = self.listed[path.parent.as_posix()].get(path.name)
        if leads_out is None or not is_utf_8(name):
            raise FlawedError("missing file", f"no such picture in {self.root}")
        if leads_out and not self.outside_files:
            raise FlawedError("file outside the folder", OUTSIDE.format(root=self.root))


def captions_file(config: DataConfig, usual: Sequence[str], layout: str) -> Path:
    """`config.annotations`, or the only one of the `usual` that is there.

    Args:
        layout: what a folder of this kind holds, for the error.

    Raises:
        DataError: there is none, or there are several.
    """
    root = Path(config.source).expanduser()
    expected = f"kind {config.kind} reads {layout}"
    if not root.is_dir():
        raise DataError(f"{root} is no folder; {expected}")
    names = [config.annotations] if config.annotations else list(usual)
    found = [name for name in names if (root / name).is_file()]
    if not found:
        raise DataError(f"{root} has no {' and no '.join(names)}; {expected}")
    if len(found) > 1:
        raise DataError(f"{root} has {' and '.join(found)}; name one with --data.annotations")
    return root / found[0]


def read_lists(file: Path, keys: Sequence[str], layout: str) -> dict[str, Any]:
    """The object in a JSON file, with a list under each of `keys`.

    Args:
        layout: how the content should look, for the error.

    Raises:
        DataError: it cannot be read, or looks otherwise.
    """
    try:
        content = json.loads(file.read_bytes())
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, nested too deeply
        raise DataError(f"{file} is not valid JSON: {' '.join(str(error).split())[:200]}") from None
    if not isinstance(content, dict):
        raise DataError(f"{file} holds no object; it should be {layout}")
    lacking = [key for key in keys if not isinstance(content.get(key), list)]
    if lacking:
        raise DataError(f"{file} has no list '{lacking[0]}'; it should be {layout}")
    return content


def caption_of(row: Any, key: str) -> str:
    """The caption in an object of the file, cleaned; possibly empty, as some of them are.

    Raises:
        FlawedError: it holds none.
    """
    text = row.get(key) if isinstance(row, dict) else None
    if not isinstance(text, str):
        raise FlawedError("no caption", f"needs a text under '{key}'")
    if not is_utf_8(text):
        raise FlawedError("not UTF-8", f"'{key}' is not UTF-8 text")
    return clean_caption(text)
