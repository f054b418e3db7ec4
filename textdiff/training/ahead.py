"""The next step's batches, made while a GPU still works on this one's.

forward, backward launched ──► fetch: read, decode, draw noise ──► wait for the loss ──► update
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """Of a generator, with one item taken early by `fetch`. An error of it, or its end, comes when
    the item's turn comes, as if nothing had been taken early."""

    def __init__(self, items: Generator[T, None, None]) -> None:
        self._items = items
        self._held: list[T | Exception] = []

    def fetch(self) -> None:
        """Takes the next item now, if that was not done before."""
        if self._held:
            return
        try:
            self._held.append(next(self._items))
        except Exception as error:
            self._held.append(error)

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        self.fetch()
        item = self._held.pop()
        if isinstance(item, Exception):
            raise item
        return item

    def close(self) -> None:
        """Ends the generator; what was taken early is dropped."""
        self._held.clear()
        self._items.close()
