"""Splits by hash of the group, and splits that the data state."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textdiff.data.entries import Entry
from textdiff.data.splits import assign_splits


def entries_of(groups, splits=None):
    splits = splits or [None] * len(groups)
    return [
        Entry(str(i), ("a",), g, s) for i, (g, s) in enumerate(zip(groups, splits, strict=True))
    ]


@given(st.lists(st.sampled_from("abcdefghij"), min_size=1, max_size=60))
def test_a_group_is_never_split(groups):
    splits = assign_splits(entries_of(groups), 0.3, 0.3)
    assert len(set(zip(groups, splits, strict=True))) == len(set(groups))


def test_fractions_are_kept_roughly():
    splits = assign_splits(entries_of([str(i) for i in range(4000)]), 0.1, 0.2)
    assert splits.count("val") == pytest.approx(400, abs=60)
    assert splits.count("test") == pytest.approx(800, abs=90)


def test_an_image_keeps_its_side_when_others_are_added():
    names = [str(i) for i in range(500)]
    few, many = (assign_splits(entries_of(names[:n]), 0.1, 0.1) for n in (300, 500))
    assert few == many[:300]


def test_a_small_set_still_gets_every_split():
    assert set(assign_splits(entries_of("abc"), 0.05, 0.05)) == {"train", "val", "test"}
    assert assign_splits(entries_of("a"), 0.05, 0.05) == ["train"]
    assert set(assign_splits(entries_of("abcdefgh"), 0, 0)) == {"train"}


def test_stated_splits_win_and_get_nothing_by_hash():
    names = [str(i) for i in range(200)]
    stated = ["test"] * 50 + ["train"] * 100 + [None] * 50
    splits = assign_splits(entries_of(names, stated), 0.2, 0.2)
    assert splits[:50] == ["test"] * 50
    assert set(splits[50:]) == {"train", "val"}
