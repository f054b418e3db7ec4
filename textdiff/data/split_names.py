"""Which split a file or folder belongs to by its name, as `datasets` reads names.

    test.parquet   data/train-00000-of-00001.parquet   validation/0.parquet   my_dev_set/a.parquet

A word counts where -, _, ., a digit or a space, or the end of the name stand on both of its sides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from textdiff.data.entries import SPLIT_NAMES, Split

_WORD = re.compile(rf"(?<![^-._ 0-9])(?:{'|'.join(SPLIT_NAMES)})(?![^-._ 0-9])")


def split_of_name(name: str) -> Split | None:
    """Of one name; of several words in it those that hold out count, test first."""
    words = {SPLIT_NAMES[word] for word in _WORD.findall(name.lower())}
    return next((split for split in ("test", "val", "train") if split in words), None)


def split_of_path(parts: Sequence[str]) -> Split | None:
    """Of a file by the folders that hold it, the nearest first, then by its own name."""
    *folders, file = parts
    named = (split_of_name(name) for name in (*reversed(folders), file))
    return next((split for split in named if split), None)


def split_of_folder(name: str) -> Split | None:
    """Of a picture by the nearest folder in its name that is called exactly like a split."""
    folders = reversed(PurePosixPath(name).parts[:-1])
    return next(
        (SPLIT_NAMES[part.lower()] for part in folders if part.lower() in SPLIT_NAMES), None
    )
