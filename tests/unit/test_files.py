"""Files are whole or not there."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from textdiff.checkpoint import save_tensors
from textdiff.files import disk_errors, replacing, write_text


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_file_appears_whole_at_the_end(tmp_path):
    path = tmp_path / "a.txt"
    with replacing(path) as temporary:
        temporary.write_text("whole")
        assert not path.exists()
    assert path.read_text() == "whole"
    assert names(tmp_path) == ["a.txt"]


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_nothing_half_written(tmp_path, error):
    with pytest.raises(error), replacing(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise error
    assert names(tmp_path) == []


def test_an_exception_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert (path.read_text(), names(tmp_path)) == ("old", ["a.txt"])


def test_a_file_that_was_never_written_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "a.txt"):
        pass
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["a.png", "a.tar.gz", "a"])
def test_the_temporary_name_keeps_folder_and_suffix(tmp_path, name):
    path = tmp_path / name
    with replacing(path) as temporary:
        assert (temporary.parent, temporary.suffix) == (path.parent, path.suffix)
        assert temporary != path
        temporary.touch()


def test_two_writers_at_once_do_not_share_a_temporary_name(tmp_path):
    with replacing(tmp_path / "a.txt") as one, replacing(tmp_path / "a.txt") as other:
        one.write_text("one")
        other.write_text("other")
    assert (tmp_path / "a.txt").read_text() == "one"  # the outer block ends last


def test_parent_folders_are_made(tmp_path):
    write_text(tmp_path / "b" / "c" / "a.txt", "text")
    assert (tmp_path / "b" / "c" / "a.txt").read_text() == "text"


def test_text_is_utf_8(tmp_path):
    write_text(tmp_path / "a.txt", "größer, 大きい")
    assert (tmp_path / "a.txt").read_bytes().decode("utf-8") == "größer, 大きい"


@pytest.mark.skipif(sys.platform == "win32", reason="modes are a matter of POSIX")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_weights_and_texts_follow_the_umask(tmp_path, umask, mode):
    """safetensors itself writes 0600, so that nobody else could read a shared run."""
    previous = os.umask(umask)
    try:
        save_tensors(tmp_path / "a.safetensors", {"x": torch.zeros(2)})
        write_text(tmp_path / "a.txt", "text")
    finally:
        os.umask(previous)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {mode}


@pytest.mark.skipif(sys.platform == "win32", reason="modes are a matter of POSIX")
def test_every_file_and_folder_of_a_run_can_be_shared(tiny_run, tiny_clip):
    readable = stat.S_IMODE(tiny_run.stat().st_mode) & 0o444
    for folder in (tiny_run, tiny_clip):
        for path in folder.rglob("*"):
            assert stat.S_IMODE(path.stat().st_mode) & 0o444 == readable, path


def test_what_safetensors_says_of_a_disk_is_an_error_of_the_disk(tmp_path):
    with pytest.raises(OSError, match="No space left") as error, disk_errors(tmp_path / "a"):
        raise SafetensorError("Error while serializing: I/O error: No space left on device")
    assert error.value.filename == str(tmp_path / "a")
