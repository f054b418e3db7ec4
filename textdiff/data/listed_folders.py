"""Which pictures lie in the folders below a root: each folder is listed once, whatever it holds.

What leads out of the root, by its name or by a link, is refused unless `outside_files` allows it.
"""

from __future__ import annotations

import os
from pathlib import Path

from textdiff.data.survey import FlawedError
from textdiff.data.text import is_utf_8
from textdiff.data.walk import is_inside
from textdiff.errors import DataError


class ListedFolders:
    """Folders by their names below `root`."""

    def __init__(self, root: Path, outside_files: bool) -> None:
        self._root, self._outside_files = root, outside_files
        self._listed: dict[str, dict[str, bool] | None] = {}  # file: whether it leads out

    def has(self, folder: str) -> bool:
        """Whether there is such a folder.

        Raises:
            FlawedError: it leads out of the root. DataError: it may not be read.
        """
        if folder not in self._listed:
            self._listed[folder] = self._files_of(folder)
        return self._listed[folder] is not None

    def check(self, folder: str, name: str) -> None:
        """Raises FlawedError where a folder that there is has no such file, or one that leads out
        of the root."""
        leads_out = (self._listed[folder] or {}).get(name)
        if leads_out is None or not is_utf_8(name):
            raise FlawedError("missing file", f"no such picture in {self._root}")
        if leads_out and not self._outside_files:
            raise self._outside("it")

    def _files_of(self, folder: str) -> dict[str, bool] | None:
        path = self._root / folder
        try:
            if not self._outside_files and not is_inside(path, self._root):
                raise self._outside("its folder")
            return {
                item.name: item.is_symlink() and not is_inside(item.path, self._root)
                for item in os.scandir(path)
                if item.is_file()
            }
        except (FileNotFoundError, NotADirectoryError, ValueError):  # or a name that none can have
            return None
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}") from None

    def _outside(self, what: str) -> FlawedError:
        return FlawedError(
            "file outside the folder",
            f"{what} lies outside the folder {self._root}; --data.outside-files true allows it",
        )
