"""Pictures that are drawn rather than read: rendered once into a folder of the cache.

    pictures, one by one -> <folder>/images.npy, sums.npy (see `row_file`), beside texts

The folder is never half full, see `made_once`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from textdiff.data.made_once import make_once
from textdiff.data.row_file import (
    DamagedRowError,
    RowFile,
    Shape,
    add_sums,
    make_row_file,
)
from textdiff.errors import DataError

CHUNK = 128  # pictures between two flushes


class RenderedPictures:
    """The pictures in `folder`, rendered if it is not there. Pickled as the name of a folder.

    Args:
        render: yields the pictures, each (3, S, S) uint8.
        count: how many, and their `side`, S.
        texts: files to keep beside them, name -> content.
        what: they are, for the progress bar.

    Raises:
        DataError: the folder cannot be written, or holds no pictures.
    """

    def __init__(
        self,
        folder: Path,
        render: Callable[[], Iterable[NDArray[np.uint8]]],
        *,
        count: int,
        side: int,
        texts: Mapping[str, str],
        what: str,
    ) -> None:
        try:
            shape = (count, 3, side, side)
            make_once(folder, lambda staging: _fill(staging, render, shape, texts, what))
            add_sums(folder)
            self._pixels = RowFile(folder, shape)
        except OSError as error:
            raise DataError(
                f"cache folder {folder.parent} cannot be used: {error}; set data.cache_dir or "
                "TEXTDIFF_CACHE to a folder that can be written"
            ) from None
        except ValueError as error:
            raise DataError(f"{folder} is damaged ({error}): delete it and start again") from None

    def __getitem__(self, index: int) -> Tensor:
        """(3, S, S) uint8. Raises DataError: it is damaged."""
        try:
            return self._pixels[index]
        except DamagedRowError as error:
            raise DataError(f"{error}: delete {self._pixels.folder} and start again") from None


def _fill(
    folder: Path,
    render: Callable[[], Iterable[NDArray[np.uint8]]],
    shape: Shape,
    texts: Mapping[str, str],
    what: str,
) -> None:
    make_row_file(folder, shape)
    pixels = RowFile(folder, shape)
    side = shape[-1]
    progress = tqdm(
        render(),
        total=shape[0],
        desc=f"rendering {what} at {side}x{side}",
        leave=False,
        disable=None,
    )
    rows: dict[int, NDArray[np.uint8]] = {}
    for row, picture in enumerate(progress):
        rows[row] = picture
        if len(rows) == CHUNK:
            pixels.write(rows)
            rows.clear()
    pixels.write(rows)
    for name, content in texts.items():
        (folder / name).write_text(content, "utf-8")
