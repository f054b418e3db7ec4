"""A training goes on though nobody reads what it says."""

from __future__ import annotations

import errno
import io
import os
import sys

from textdiff.training.readers import outliving_readers


def test_a_reader_that_has_gone_is_no_error(monkeypatch):
    reading, writing = os.pipe()
    stream = os.fdopen(writing, "w", buffering=1)
    monkeypatch.setattr(sys, "stdout", stream)
    with outliving_readers():
        print("step 1")
        assert os.read(reading, 100) == b"step 1\n"
        os.close(reading)
        print("step 2")
        print("step 3", flush=True)
    assert sys.stdout is stream
    stream.close()  # and nothing is left in its buffer that would fail now


class Filling(io.StringIO):
    """A log on a disk that is full for a while."""

    full = False

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(text)


def test_a_full_disk_drops_lines_only_while_it_is_full(monkeypatch):
    log = Filling()
    monkeypatch.setattr(sys, "stdout", log)
    with outliving_readers():
        for step, full in enumerate((False, True, False)):
            log.full = full
            print("step", step)
    assert log.getvalue() == "step 0\nstep 2\n"
