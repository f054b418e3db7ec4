"""Pictures that are drawn rather than read: rendered once into a folder of the cache.

    pictures, one by one -> <folder>/images.npy (N, 3, S, S) uint8, beside texts about them

The folder is made under another name and renamed, so that it is never half full.
"""

from __future__ import annotations

import functools
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from textdiff.errors import DataError


class RenderedPictures:
    """The pictures in `folder`, rendered if it is not there. Pickled as the name of a file.

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
            if not folder.is_dir():
                _make(folder, render, (count, 3, side, side), texts, what)
            self._file = str(folder / "images.npy")
            _pixels(self._file)
        except OSError as error:
            raise DataError(
                f"cache folder {folder.parent} cannot be used: {error}; set data.cache_dir or "
                "TEXTDIFF_CACHE to a folder that can be written"
            ) from None
        except ValueError as error:
            raise DataError(f"{folder} is damaged ({error}): delete it and start again") from None

    def __getitem__(self, index: int) -> Tensor:
        """(3, S, S) uint8."""
        return torch.from_numpy(np.array(_pixels(self._file)[index]))


@functools.lru_cache(maxsize=8)
def _pixels(file: str) -> NDArray[np.uint8]:
    """Opened once per process; kept out of the source so that workers do not receive a copy."""
    return np.load(file, mmap_mode="r")


def _make(
    folder: Path,
    render: Callable[[], Iterable[NDArray[np.uint8]]],
    shape: tuple[int, int, int, int],
    texts: Mapping[str, str],
    what: str,
) -> None:
    staging = folder.with_name(f".{folder.name}-{uuid.uuid4().hex[:8]}")
    staging.mkdir(parents=True)
    try:
        images = np.lib.format.open_memmap(staging / "images.npy", "w+", np.uint8, shape)
        side = shape[-1]
        progress = tqdm(
            render(),
            total=shape[0],
            desc=f"rendering {what} at {side}x{side}",
            leave=False,
            disable=None,
        )
        for row, picture in enumerate(progress):
            images[row] = picture
        images.flush()
        for name, content in texts.items():
            (staging / name).write_text(content, "utf-8")
        try:
            staging.rename(folder)
        except OSError:
            if not folder.is_dir():  # if it is, another process wrote the same content first
                raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)
