"""The manifest: removed rows as ranges, and what is wrong with one in one line."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.indexes import build, opened
from textdiff.errors import DataError
from textdiff.retrieval.manifest import MANIFEST, ranges_of, read_manifest


@given(st.lists(st.booleans(), max_size=40))
def test_ranges_cover_what_is_gone(flags):
    gone = np.array(flags, dtype=bool)
    covered = np.zeros(len(flags), dtype=bool)
    for first, end in ranges_of(gone):
        assert not covered[first:end].any()
        covered[first:end] = True
    assert (covered == gone).all()


def test_it_comes_back_as_it_was(shapes, tmp_path):
    index = build(tmp_path / "index", opened(shapes))
    assert read_manifest(index.path) == index.manifest


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda text: text[:-20], "cannot be read"),
        (lambda text: text.replace('"format": 1', '"format": 99'), "of format 99, this version"),
        (lambda text: json.dumps({"format": 1}), "is damaged: .* lacks 'clip'"),
        (lambda text: "[]", "is damaged"),
        (lambda text: text.replace('"rows": 16', '"rows": 15'), "differs from what was written"),
        (lambda text: text.replace("[]", "[[0, 1]]"), "differs from what was written"),
    ],
)
def test_a_damaged_one_is_told_in_one_line(shapes, tmp_path, spoil, said):
    path = build(tmp_path / "index", opened(shapes)).path / MANIFEST
    path.write_text(spoil(path.read_text()))
    with pytest.raises(DataError, match=said) as raised:
        read_manifest(path.parent)
    assert "\n" not in str(raised.value)


def test_one_of_the_first_versions_has_no_hash(shapes, tmp_path):
    index = build(tmp_path / "index", opened(shapes))
    content = json.loads((index.path / MANIFEST).read_text())
    del content["sha256"]
    (index.path / MANIFEST).write_text(json.dumps(content))
    assert read_manifest(index.path) == index.manifest


def test_a_folder_without_one_is_no_index(tmp_path):
    with pytest.raises(DataError, match=r"is no index: .*'textdiff index build' makes one"):
        read_manifest(tmp_path)
