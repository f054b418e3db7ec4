"""Bytes of a shard, at any place, as long as it is the same shard."""

from __future__ import annotations

import os
import pickle

import pytest

from textdiff.data.decode import BadImage
from textdiff.data.shards import MOST_OPEN, Shard
from textdiff.errors import DataError


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(bytes(range(100)))
    return path


def test_bytes_by_offset_in_any_order(file):
    shard = pickle.loads(pickle.dumps(Shard.at(file)))
    assert shard.read(90, 10) == bytes(range(90, 100))
    assert shard.read(3, 2) == b"\3\4"


def test_more_shards_than_are_kept_open(tmp_path):
    shards = []
    for index in range(MOST_OPEN + 5):
        path = tmp_path / f"{index}.tar"
        path.write_bytes(bytes([index]))
        shards.append(Shard.at(path))
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208, as of no folder of ours
    read = [shard.read(0, 1)[0] for shard in shards * 2]
    assert read == [*range(MOST_OPEN + 5)] * 2
    assert len(os.listdir("/dev/fd")) <= before + MOST_OPEN  # noqa: PTH208


def test_past_the_end(file):
    with pytest.raises(BadImage, match="truncated"):
        Shard.at(file).read(95, 10)


def test_a_shard_that_changed_or_went_away(file):
    shard = Shard.at(file)
    os.utime(file, ns=(0, 0))
    with pytest.raises(DataError, match=r"a\.tar has changed since it was looked at"):
        shard.read(0, 1)
    file.unlink()
    with pytest.raises(DataError, match=r"a\.tar cannot be read: No such file"):
        shard.read(0, 1)


def test_only_regular_files(tmp_path):
    os.mkfifo(tmp_path / "pipe.tar")
    for path in (tmp_path, tmp_path / "pipe.tar"):
        with pytest.raises(DataError, match="is not a regular file"):
            Shard.at(path)
    with pytest.raises(DataError, match=r"none\.tar cannot be read: No such file"):
        Shard.at(tmp_path / "none.tar")
