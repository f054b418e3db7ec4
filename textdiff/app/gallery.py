"""Drawn pictures in a folder: PNGs that hold their own settings, under names that we make.

    add ──► <folder>/<id>.png, whole or not there        list: newest first, also after a restart

An id is 24 hex digits, of the time and of chance. Nothing else is ever joined to the folder's path,
and no link in it is followed.
"""

from __future__ import annotations

import io
import os
import re
import secrets
import stat
import threading
import time
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from textdiff.errors import DataError
from textdiff.files import replacing

if TYPE_CHECKING:
    from PIL.Image import Image

    from textdiff.pipeline.origin import Origin

ID = re.compile(r"[0-9a-f]{24}")  # 16 digits of nanoseconds, 8 of chance
FILE = re.compile(rf"({ID.pattern})\.png")


class NoPictureError(DataError):
    """No picture has this id."""


@dataclass(frozen=True)
class Kept:
    """A picture and how it was drawn."""

    id: str
    picture: Image
    origin: Origin


class Gallery:
    """The pictures in `folder`, which is made with the first. Any thread may call.

    Raises:
        UsageError: pictures cannot be written there.
    """

    def __init__(self, folder: str | Path) -> None:
        from textdiff.files import check_folder

        check_folder("--gallery", folder)
        self.folder = Path(folder)
        self._lock, self._last = threading.Lock(), 0

    def add(self, picture: Image, origin: Origin) -> str:
        """Writes the picture with its settings; gives its id.

        Raises:
            OSError: it cannot be written.
        """
        from textdiff.data.picture_files import png_bytes

        data, new = png_bytes(picture, origin.to_json()), self._new_id()
        with replacing(self._path(new)) as temporary:
            temporary.write_bytes(data)
        return new

    def list(self) -> list[str]:
        """Ids, the newest first; of one request the last first."""
        if not self.folder.is_dir():
            return []
        with os.scandir(self.folder) as entries:
            files = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
        found = [FILE.fullmatch(name) for name in files]
        return sorted((match[1] for match in found if match), reverse=True)

    def read(self, picture_id: str) -> Kept:
        """The picture and its settings.

        Raises:
            NoPictureError: none has this id. UsageError: its settings are damaged.
        """
        from textdiff.data.config import DataConfig
        from textdiff.data.decode import open_image
        from textdiff.pipeline.origin import origin_in

        data = self.png(picture_id)
        origin = origin_in(data, f"picture {picture_id}")
        return Kept(picture_id, open_image(data, DataConfig()), origin)

    def png(self, picture_id: str) -> bytes:
        """The file: the picture with its settings. Raises NoPictureError."""
        try:
            descriptor = os.open(self._path(picture_id), os.O_RDONLY | NO_LINKS)
        except OSError:
            raise _absent(picture_id) from None
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise _absent(picture_id)
            return file.read()

    def write_zip(self, file: IO[bytes], picture_ids: Iterable[str] | None = None) -> None:
        """An archive of some pictures, or of all, each with its settings, into `file`.

        Raises:
            NoPictureError: none has one of these ids.
        """
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:  # a PNG is compressed
            for each in self.list() if picture_ids is None else picture_ids:
                archive.writestr(f"{each}.png", self.png(each))

    def zip(self, picture_ids: Iterable[str] | None = None) -> bytes:
        """The same in memory."""
        file = io.BytesIO()
        self.write_zip(file, picture_ids)
        return file.getvalue()

    def delete(self, picture_id: str) -> None:
        """Raises NoPictureError."""
        try:
            self._path(picture_id).unlink()  # of a link, the link
        except FileNotFoundError:
            raise _absent(picture_id) from None

    def _path(self, picture_id: str) -> Path:
        """Raises NoPictureError for what is no id."""
        if not ID.fullmatch(picture_id):
            raise _absent(picture_id)
        return self.folder / f"{picture_id}.png"

    def _new_id(self) -> str:
        """Above all before it, so that they sort by age."""
        with self._lock:
            self._last = max(self._last + 1, time.time_ns())
            return f"{self._last:016x}{secrets.token_hex(4)}"


NO_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def _absent(picture_id: str) -> NoPictureError:
    return NoPictureError(f"no picture has the id {picture_id!r:.40}")
