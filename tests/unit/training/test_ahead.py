"""Items taken early come in order, and their errors in their turn."""

from __future__ import annotations

import pytest

from textdiff.training.ahead import Ahead


def counted(taken: list[int], end: int = 3):
    for number in range(end):
        taken.append(number)
        yield number


def test_fetched_or_not_the_items_are_the_same():
    taken: list[int] = []
    items = Ahead(counted(taken))
    items.fetch()
    items.fetch()
    assert taken == [0]
    assert list(items) == [0, 1, 2]


def test_an_error_comes_in_the_turn_of_its_item():
    def failing():
        yield 1
        raise ValueError("unreadable")

    items = Ahead(failing())
    assert next(items) == 1
    items.fetch()
    with pytest.raises(ValueError, match="unreadable"):
        next(items)


def test_closing_ends_the_generator():
    closed = []

    def closing():
        try:
            yield from range(3)
        finally:
            closed.append(True)

    items = Ahead(closing())
    items.fetch()
    items.close()
    assert closed == [True]
