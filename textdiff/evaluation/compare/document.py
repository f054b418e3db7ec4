"""A file of numbers as it was written, and of which evaluation it is."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textdiff.data.text import shown
from textdiff.errors import UsageError
from textdiff.evaluation.compare.kinds import KNOWN, Kind, kind_of
from textdiff.evaluation.per_item import PerItem


@dataclass(frozen=True)
class Document:
    """path: as the user gave it. sha256: of the file. content: its JSON. items: by group."""

    path: str
    sha256: str
    kind: Kind
    content: dict[str, Any]
    items: dict[str, PerItem]

    @property
    def given(self) -> bool:
        """Whether no model drew the pictures."""
        return self.content.get("model") is None

    @property
    def versions(self) -> dict[str, str]:
        """Of packages, by name."""
        found = self.content.get("versions", {})
        return found if isinstance(found, dict) else {}


def read_document(path: str) -> Document:
    """Raises UsageError: no JSON, of no evaluation that is known, or damaged."""
    try:
        written = Path(path).expanduser().read_bytes()
        content = json.loads(written.decode("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read as JSON: {error}") from None
    if not isinstance(content, dict) or "metric" not in content:
        raise UsageError(
            f"{path} holds no numbers of an evaluation; give what --json of one wrote ({KNOWN})"
        )
    kind = kind_of(content)
    if kind is None:
        raise UsageError(
            f"{path} is of the metric '{shown(str(content['metric']), 60)}', which this version "
            f"does not know; write it again with --json of an evaluation ({KNOWN})"
        )
    try:
        items = kind.items(content)
    except (ValueError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{path} is damaged: {error}; write it again with 'textdiff {kind.command} --json'"
        ) from None
    return Document(path, hashlib.sha256(written).hexdigest(), kind, content, items)


def value_at(content: Any, path: str) -> Any:
    """What stands under a dotted key; None: nothing."""
    for key in path.split("."):
        content = content.get(key) if isinstance(content, dict) else None
    return content
