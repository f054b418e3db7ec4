"""Pictures that clients send: through the guard against unusable files, within the limits, and kept
as PNGs of pixels alone, under the hash of that file.

    bytes ── header within limits ── decoded, upright ──► <folder>/<sha256>.png, no metadata left

Who sends the same picture gets the same id. What is drawn from it keeps path and hash, as
`textdiff sample` does of its files, and can be drawn again as long as the upload is there.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from textdiff.app.settings import Limits
from textdiff.errors import DataError
from textdiff.files import check_folder, replacing

if TYPE_CHECKING:
    from PIL.Image import Image

ID = re.compile(r"[0-9a-f]{64}")
FILE = re.compile(rf"{ID.pattern}\.png")


class Uploads:
    """Pictures in `folder`, which is made with the first; the newest `limits.uploads` are kept."""

    def __init__(self, folder: str | Path, limits: Limits) -> None:
        check_folder("--gallery", folder)
        self.folder, self._limits = Path(folder), limits
        self._lock = threading.Lock()

    def add(self, data: bytes) -> str:
        """Of an encoded picture, its transparency kept; gives its id.

        Raises:
            BadImage: no picture, one that cannot be used, or one beyond the limits.
        """
        return self.keep(picture_of(data, self._limits))

    def keep(self, picture: Image) -> str:
        """The same of a picture, RGB or RGBA."""
        file = io.BytesIO()
        picture.save(file, format="PNG")
        new = hashlib.sha256(file.getvalue()).hexdigest()
        with self._lock, replacing(self.folder / f"{new}.png") as temporary:
            temporary.write_bytes(file.getvalue())
        with self._lock:
            self._drop_oldest()
        return new

    def ids(self) -> list[str]:
        """Ids of those that are kept, the newest first."""
        with self._lock:
            return [Path(path).stem for _, path in reversed(self._by_age())]

    def path(self, upload_id: str) -> Path:
        """The file of an upload; its sha256 is the id.

        Raises:
            DataError: none has this id any more.
        """
        path = self.folder / f"{upload_id}.png"
        if not ID.fullmatch(upload_id) or path.is_symlink() or not path.is_file():
            raise DataError(f"no upload has the id {upload_id!r:.70}; send the picture again")
        return path

    def _by_age(self) -> list[tuple[int, str]]:
        """(time, path) of each file, the oldest first."""
        if not self.folder.is_dir():
            return []
        with os.scandir(self.folder) as entries:
            return sorted(
                (entry.stat(follow_symlinks=False).st_mtime_ns, entry.path)
                for entry in entries
                if FILE.fullmatch(entry.name) and entry.is_file(follow_symlinks=False)
            )

    def _drop_oldest(self) -> None:
        for _, path in self._by_age()[: -self._limits.uploads]:
            with contextlib.suppress(FileNotFoundError):  # another thread dropped it
                Path(path).unlink()


def picture_of(data: bytes, limits: Limits) -> Image:
    """An encoded picture, upright: RGBA where any of it is transparent, which a mask may be, else
    RGB. Raises as `Uploads.add`."""
    from textdiff.data.config import DataConfig
    from textdiff.data.decode import BadImage, open_image, stated_size
    from textdiff.data.picture_files import open_transparent

    where, side = "the upload", limits.upload_side
    if len(data) > limits.upload_bytes:
        raise BadImage(f"{len(data)} bytes, and {limits.upload_bytes} are the most", where)
    config = DataConfig(max_pixels=min(side * side, DataConfig().max_pixels))
    try:
        width, height = stated_size(data, config)
        if max(width, height) > side:
            raise BadImage(f"{width}x{height} pixels, and {side} a side are the most")
        return open_transparent(data, config) or open_image(data, config)
    except BadImage as error:
        raise BadImage(error.reason, where) from None
