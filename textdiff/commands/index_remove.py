"""`textdiff index remove`: pictures out of an index, without building it again."""

from __future__ import annotations

from textdiff.retrieval.settings import IndexRemoveSettings


def run(settings: IndexRemoveSettings) -> None:
    """Raises UsageError: no such source or picture. DataError: a damaged index."""
    from textdiff.retrieval.changes import remove_pictures

    removed = remove_pictures(settings.index, settings.source, settings.pictures)
    print(f"{settings.index}: {removed:,} pictures removed")
