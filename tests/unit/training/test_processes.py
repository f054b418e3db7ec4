"""What a process alone does; of several: test_rank_watch.py, test_distributed.py."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from textdiff.errors import DataError
from textdiff.training.processes import lowest, main_value, of_all, on_any, on_main

ALONE = SimpleNamespace(is_main_process=True, num_processes=1)


def test_alone_it_is_the_main_one_and_all_of_them():
    assert on_main(ALONE, lambda: "made") == "made"
    assert of_all(ALONE, 3) == [3]
    assert (main_value(ALONE, 0.5), lowest(ALONE, 2), on_any(ALONE, True)) == (0.5, 2, True)


def test_alone_its_errors_are_its_own():
    def fail() -> None:
        raise DataError("no image can be read")

    with pytest.raises(DataError, match="no image"):
        on_main(ALONE, fail)
