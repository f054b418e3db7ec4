"""The JSON files of a model folder: data of strangers, so what they state is checked here."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from textdiff.errors import CheckpointError

LARGEST_SIDE = 4096  # of pictures; beyond it a file is damaged, and memory would not do
Triple = tuple[float, float, float]


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file. Raises CheckpointError."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(f"{path} cannot be read as JSON: {reason}") from None
    if not isinstance(content, dict):
        raise CheckpointError(f"{path} is no JSON object")
    return content


def object_in(path: Path, content: dict[str, Any], key: str) -> dict[str, Any]:
    """The object that `content`, of the file at `path`, has under `key`; empty where there is none.
    Raises CheckpointError."""
    value = content.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: {key} is {shown(value)}; it should be a JSON object")
    return dict(value)


def three_numbers(path: Path, key: str, value: Any, *, positive: bool = False) -> Triple:
    """A number for each channel. Raises CheckpointError."""
    numbers = value if isinstance(value, (list, tuple)) else ()
    if len(numbers) != 3 or not all(_is_number(each, positive) for each in numbers):
        kind = "positive numbers" if positive else "numbers"
        raise CheckpointError(f"{path}: {key} is {shown(value)}; it should be three {kind}")
    return (float(numbers[0]), float(numbers[1]), float(numbers[2]))


def is_side(value: Any) -> bool:
    """Whether it can be that of a square picture."""
    return type(value) is int and 1 <= value <= LARGEST_SIDE


@contextmanager
def blamed_on(path: Path, what: str) -> Iterator[None]:
    """For libraries that raise nearly anything where a file is wrong: CheckpointError instead.

    what: cannot be done, such as "timm cannot build what it describes".
    """
    try:
        yield
    except CheckpointError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise CheckpointError(f"{path}: {what}: {reason}") from None


def shown(value: Any) -> str:
    return repr(value)[:60]


def _is_number(value: Any, positive: bool) -> bool:
    if type(value) not in (int, float) or not math.isfinite(value):
        return False
    return value > 0 or not positive
