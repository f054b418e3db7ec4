"""A JSON file of captions: where it is, whether it holds the lists it should, a caption of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from textdiff.data.config import DataConfig
from textdiff.data.survey import FlawedError
from textdiff.data.text import clean_caption, is_utf_8
from textdiff.errors import DataError


def find_captions(config: DataConfig, usual: Sequence[str], layout: str) -> Path:
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
