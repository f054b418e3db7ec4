"""What a process holds and held."""

from __future__ import annotations

import mmap
import sys

import psutil
import pytest

from textdiff import memory
from textdiff.memory import MEBIBYTE, forget_peak, peak_bytes, usable_bytes


def touched(megabytes: int) -> mmap.mmap:
    """Fresh pages: what the allocator gives may be what it kept."""
    pages = mmap.mmap(-1, megabytes * MEBIBYTE)
    pages.write(b"1" * len(pages))
    return pages


@pytest.mark.skipif(sys.platform != "linux", reason="no other system can forget a peak")
def test_a_peak_is_that_since_it_was_forgotten():
    before = forget_peak()
    array = touched(64)
    assert peak_bytes() - before > 60 * MEBIBYTE
    array.close()
    start = forget_peak()
    assert peak_bytes() - start < 8 * MEBIBYTE


def test_without_linux_the_peak_is_that_of_a_life(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "SELF", tmp_path / "nowhere")
    held = forget_peak()
    assert held - 32 * MEBIBYTE < peak_bytes() < 100 * held


@pytest.mark.parametrize(("limit", "share"), [(None, 1.0), (0.5, 0.5), (2.0, 1.0)])
def test_a_container_may_use_less_than_the_machine_has(monkeypatch, limit, share):
    total = psutil.virtual_memory().total
    told = None if limit is None else int(limit * total)
    monkeypatch.setattr(memory, "memory_limit", lambda: told)
    assert usable_bytes() == int(share * total)
