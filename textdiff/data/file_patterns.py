"""Several files named by one text: braces, then a glob, and the split that each belongs to.

    shards/{000..003}.tar      000, 001, 002, 003, as webdataset and the shell count
    shards/{train,val}-*.tar   alternatives, then whatever is there

A file whose own name has braces or stars is found as it is.
"""

from __future__ import annotations

import itertools
import re
from pathlib import Path

from textdiff.data.entries import SPLIT_NAMES, Split
from textdiff.data.split_names import split_of_name, split_of_path
from textdiff.errors import DataError

_CHOICE = re.compile(r"\{([^{}]*,[^{}]*|-?\d+\.\.-?\d+(?:\.\.-?\d+)?)\}")  # the innermost
_GLOB = set("*?[")
MOST_NAMES = 100_000


def expand_braces(pattern: str) -> list[str]:
    """Every name that `pattern` stands for, once, in its order. Raises DataError of too many."""
    match = _CHOICE.search(pattern)
    if not match:
        return [pattern]
    before, after = pattern[: match.start()], pattern[match.end() :]
    names: dict[str, None] = {}
    for choice in _choices(match[1], pattern):
        names |= dict.fromkeys(expand_braces(f"{before}{choice}{after}"))
        _check_count(len(names), pattern)
    return list(names)


def files_of(source: str, what: str) -> list[Path]:
    """The files that `source` names, each once; those of a glob sorted.

    Args:
        what: they are, for the error, such as "parquet file".

    Raises:
        DataError: a name or glob without a file.
    """
    if Path(source).expanduser().is_file():
        return [Path(source).expanduser()]
    paths: dict[Path, None] = {}
    for name in expand_braces(source):
        path = Path(name).expanduser()
        matches = [path] if path.is_file() else []
        if not matches and _GLOB & set(name):
            base = base_of(name)
            matches = sorted(base.glob(str(path.relative_to(base))))
        if not matches:
            within = "" if name == source else f", of {source}"
            raise DataError(f"no {what} matches {name}{within}")
        paths |= dict.fromkeys(matches)
    return list(paths)


def base_of(source: str) -> Path:
    """The folder that a file is in, or a pattern starts from."""
    path = Path(source).expanduser()
    if path.is_file():
        return path.parent
    fixed = itertools.takewhile(lambda part: not (_GLOB | {"{"}) & set(part), path.parts[:-1])
    return Path(*fixed)


def split_of_file(path: Path, base: Path) -> Split | None:
    """By the names of folders and file below `base`, the folder of all. Its own name counts only
    where it is exactly that of a split, as folders above it say nothing of the data."""
    split = split_of_path(path.relative_to(base).parts)
    if split is None and base.name.lower() in SPLIT_NAMES:
        return split_of_name(base.name)
    return split


def _choices(text: str, pattern: str) -> list[str]:
    """Of what stands between two braces: a,b,c or first..last or first..last..step."""
    if "," in text:
        return text.split(",")
    ends = text.split("..")
    first, last, step = int(ends[0]), int(ends[1]), abs(int(ends[2])) if ends[2:] else 1
    stride = max(step, 1) * (1 if first <= last else -1)
    numbers = range(first, last + (1 if stride > 0 else -1), stride)
    _check_count(len(numbers), pattern)
    padded = any(re.match(r"-?0\d", end) for end in ends[:2])
    width = max(map(len, ends[:2])) if padded else 0
    return [f"{number:0{width}d}" for number in numbers]


def _check_count(count: int, pattern: str) -> None:
    if count > MOST_NAMES:
        raise DataError(f"{pattern} stands for more than {MOST_NAMES:,} names; name fewer")
