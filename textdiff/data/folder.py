"""An image folder with captions in one of three forms.

    metadata.jsonl   {"file_name": "a.png", "text": "a red apple"}   or "text": ["...", "..."]
    metadata.csv     file_name,text                                  several rows: several captions
    a.png + a.txt    one caption per line                            where there is no metadata file

File names are relative to the metadata file, which may lie in a sub-folder. A folder named train,
val (valid, validation, dev) or test fixes the split; so does a column `split`. Where captions are
not needed, pictures without any are used too, with or without a metadata file. Hidden files are
ignored, links that lead out of the folder refused unless `outside_files` allows them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from torch import Tensor

from textdiff.data.config import DataConfig
from textdiff.data.decode import OTHER_SUFFIXES, SUFFIXES, decode_image, stated_size
from textdiff.data.entries import Entry, Split, choose
from textdiff.data.hints import published_layout, why_no_images
from textdiff.data.metadata import Stated, captions_of_text, column_of, rows_of, stated
from textdiff.data.split_names import split_of_folder
from textdiff.data.survey import Flaw, FlawedError, Survey
from textdiff.data.text import as_utf_8
from textdiff.data.walk import is_inside, walk
from textdiff.errors import DataError

Value = TypeVar("Value")
IMAGE_COLUMNS = ("file_name", "image", "filename", "path")
CAPTION_COLUMNS = ("text", "caption", "captions")
TABLES = ("metadata.jsonl", "metadata.csv")


class Folder:
    """A `Source` of the images under a folder, `Surveyed`."""

    entries: list[Entry]
    survey: Survey
    attribution: str | None = None

    def __init__(self, config: DataConfig) -> None:
        self._root = Path(config.source).expanduser()
        self._config = config
        if not self._root.is_dir():
            raise DataError(f"image folder {self._root} does not exist")
        found = walk(self._root, follow=config.outside_files)
        self._files = set(found.files)
        self._flaws: list[Flaw] = [
            *(Flaw(as_utf_8(name), "link out of the folder", _LINK) for name in found.outside),
            *(Flaw(as_utf_8(n), "unreadable folder", "may not be read") for n in found.unreadable),
        ]
        images = [name for name in found.files if _suffix(name) in SUFFIXES]
        tables = [name for name in found.files if PurePosixPath(name).name in TABLES]
        if not images and not tables and not self._flaws:
            raise DataError(
                f"{self._root} holds no images; {why_no_images(self._root, self._files)}"
            )
        captioned = self._from_tables(tables) if tables else self._from_sidecars(images)
        self._paths = {as_utf_8(name): name for name in captioned}  # by identifier
        entries = sorted(captioned.values(), key=lambda entry: entry.identifier)
        self.survey = Survey(
            seen=len(entries) + len(self._flaws),
            flaws=self._flaws,
            ignored=self._ignored(found.ignored, captioned, tables),
            used={
                "pictures": len(entries),
                **({"metadata": len(tables)} if tables else {"caption files": len(entries)}),
            },
        )
        self.entries = choose(entries, config.max_images)

    def read(self, index: int) -> Tensor:
        return decode_image(self._path(index), self._config)

    def original_size(self, index: int) -> tuple[int, int]:
        return stated_size(self._path(index), self._config)

    def files(self, indices: Sequence[int]) -> list[Path]:
        return [self._path(index) for index in indices]

    def version(self) -> str:
        """Changes with any file's size or time of change."""
        digest = hashlib.sha256()
        for index in range(len(self.entries)):
            try:
                status = self._path(index).stat()
                digest.update(f"{status.st_size} {status.st_mtime_ns},".encode())
            except OSError:
                digest.update(b"missing,")
        return digest.hexdigest()

    def _path(self, index: int) -> Path:
        return self._root / self._paths[self.entries[index].identifier]

    def _from_sidecars(self, images: list[str]) -> dict[str, Entry]:
        captioned: dict[str, Entry] = {}
        sidecars = {name for name in self._files if _suffix(name) == ".txt"}
        if self._config.label_column is not None:
            raise DataError(
                f"{self._root} has neither {' nor '.join(TABLES)}, so no column "
                f"'{self._config.label_column}'; add one, or leave label_column out"
            )
        captionless = self._config.need_captions and not any(
            _sidecar(n) in sidecars for n in images
        )
        if captionless and (layout := published_layout(self._files)):
            raise DataError(f"{self._root} has no captions beside its pictures; {layout}")
        others = [
            name
            for name in sorted(self._files)
            if _suffix(name) in OTHER_SUFFIXES and _sidecar(name) in sidecars
        ]
        self._flaws += [Flaw(as_utf_8(name), "kind of picture", _KIND) for name in others]
        for name in images:
            try:
                if _sidecar(name) not in sidecars:
                    if not self._config.need_captions:
                        captioned[name] = _entry(name)
                        continue
                    detail = "no caption; give it a .txt file of the same name or move it away"
                    raise FlawedError("no caption", detail)
                captions = _read_sidecar(self._root / _sidecar(name))
            except FlawedError as error:
                self._flaws.append(error.at(as_utf_8(name)))
                continue
            captioned[name] = _entry(name, captions)
        return captioned

    def _from_tables(self, tables: list[str]) -> dict[str, Entry]:
        rows: dict[str, list[tuple[str, Stated]]] = {}  # by name, each with its place
        named: set[str] = set()
        for table in tables:
            for row in rows_of(self._root / table):
                if isinstance(row, Flaw):
                    self._flaws.append(row)
                    continue
                where, columns = row
                try:
                    name = self._named(PurePosixPath(table).parent, columns)
                    named.add(name)
                    said = stated(columns, CAPTION_COLUMNS, self._config)
                except FlawedError as error:
                    self._flaws.append(error.at(where))
                    continue
                rows.setdefault(name, []).append((where, said))
        captioned: dict[str, Entry] = {}
        for name in sorted(rows):
            splits: dict[str, Split | None] = {where: row.split for where, row in rows[name]}
            labels = {where: row.label for where, row in rows[name]}
            try:
                split: Split | None = _agreed("splits", splits)
                label = _agreed("labels", labels)
            except FlawedError as error:
                self._flaws.append(error.at(as_utf_8(name)))
                continue
            captions = [text for _, row in rows[name] for text in row.captions]
            captioned[name] = _entry(name, captions, split, label)
        lacking = [n for n in sorted(self._files) if _suffix(n) in SUFFIXES and n not in named]
        needed = "caption" if self._config.need_captions else "label"
        if self._config.need_captions or self._config.label_column is not None:
            detail = f"no {needed}; give it a row of the metadata file or move it away"
            self._flaws += [Flaw(as_utf_8(name), f"no {needed}", detail) for name in lacking]
        else:
            captioned |= {name: _entry(name) for name in lacking}
        return captioned

    def _named(self, folder: PurePosixPath, row: dict[str, Any]) -> str:
        """The image of a row, by its name relative to the root. Raises FlawedError."""
        file_name = row[column_of(self._config.image_column, IMAGE_COLUMNS, row)]
        if not isinstance(file_name, str) or not file_name.strip():
            raise FlawedError("no file name", "the file name is empty or no text")
        name = os.path.normpath(folder / file_name)
        if name in self._files:
            return name
        shown = as_utf_8(file_name[:100].encode("utf-8", "backslashreplace").decode())
        path, allowed = self._root / name, self._config.outside_files
        leaves = PurePosixPath(name).is_absolute() or name == ".." or name.startswith("../")
        within = not leaves and _is_inside(path, self._root)
        if not within and not allowed:
            raise FlawedError(
                "file outside the folder",
                f"image '{shown}' lies outside the folder {self._root}; --data.outside-files true "
                "allows it",
            )
        place = f"in {self._root / folder}"
        if _is(Path.is_dir, path):
            raise FlawedError("folder in place of an image", f"'{shown}' is a folder {place}")
        if not _is(Path.exists, path):
            raise FlawedError("missing file", f"image '{shown}' does not exist {place}")
        if not _is(Path.is_file, path):
            raise FlawedError("not a regular file", f"'{shown}' is a device or pipe {place}")
        return name

    def _ignored(
        self, others: dict[str, list[str]], captioned: dict[str, Entry], tables: list[str]
    ) -> dict[str, list[str]]:
        """Files that are neither used nor flawed, by reason."""
        accounted = {*captioned, *tables, *(flaw.where for flaw in self._flaws)}
        if not tables:
            accounted |= {_sidecar(name) for name in accounted}
        ignored = {reason: list(map(as_utf_8, names)) for reason, names in others.items()}
        for name in sorted(self._files - accounted):
            if as_utf_8(name) in accounted or _suffix(name) in SUFFIXES:
                continue  # a flaw by its row
            reason = "other kind of file"
            if _suffix(name) == ".txt":
                reason = "text beside a metadata file" if tables else "text without a picture"
            elif _suffix(name) in OTHER_SUFFIXES:
                reason = "kind of picture that cannot be read"
            ignored.setdefault(reason, []).append(as_utf_8(name))
        return ignored


_LINK = "a link that leads out of the folder; --data.outside-files true follows it"
_KIND = f"a kind of picture that cannot be read; save it as one of {', '.join(sorted(SUFFIXES))}"


def _entry(
    name: str,
    captions: Sequence[str] = (),
    split: Split | None = None,
    label: str | None = None,
) -> Entry:
    """Without a stated split that of its folder, without captions the empty one."""
    identifier = as_utf_8(name)
    split = split or split_of_folder(name)
    return Entry(identifier, tuple(captions) or ("",), identifier, split, label=label)


def _agreed(what: str, stated: Mapping[str, Value | None]) -> Value | None:
    """The value that the rows of a picture, by their places, agree on; None where none states one.
    Raises FlawedError where they state two."""
    places: dict[Value, str] = {}
    for where, value in stated.items():
        if value is not None:
            places.setdefault(value, where)
    if len(places) > 1:
        listed = ", ".join(f"{value} ({where})" for value, where in places.items())
        raise FlawedError(f"listed with two {what}", f"listed with two {what}: {listed}")
    return next(iter(places), None)


def _read_sidecar(path: Path) -> list[str]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FlawedError("unreadable caption", f"{path} cannot be read: {error}") from None
    return captions_of_text(content, str(path))


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()


def _sidecar(name: str) -> str:
    return str(PurePosixPath(name).with_suffix(".txt"))


def _is_inside(path: Path, root: Path) -> bool:
    try:
        return is_inside(path, root)
    except (OSError, ValueError):  # a name that no file can have: it does not exist
        return True


def _is(kind: Callable[[Path], bool], path: Path) -> bool:
    try:
        return kind(path)
    except (OSError, ValueError):  # a name that no file can have, or a folder that may not be read
        return False
