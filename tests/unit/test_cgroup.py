"""Limits of containers, read from copies of the kernel's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from textdiff.cgroup import cpu_limit, memory_limit


def limit_of(tmp_path: Path, membership: str, files: dict[str, str]):
    """Of a process in the groups that `membership` says, in a tree of `files`."""
    (tmp_path / "membership").write_text(membership)
    for name, text in files.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return cpu_limit(tmp_path / "root", tmp_path / "membership")


@pytest.mark.parametrize(
    ("membership", "files", "cores"),
    [
        # a container of version 2 sees its own group as the outermost
        ("0::/\n", {"cpu.max": "150000 100000"}, 1.5),
        ("0::/\n", {"cpu.max": "max 100000"}, None),
        # a group above may be the tighter one
        ("0::/a/b\n", {"a/cpu.max": "100000 100000", "a/b/cpu.max": "400000 100000"}, 1.0),
        ("0::/a/b\n", {"a/cpu.max": "400000 100000", "a/b/cpu.max": "max 100000"}, 4.0),
        # version 1, where the controllers share a folder
        (
            "3:memory:/x\n2:cpu,cpuacct:/docker/7f\n",
            {
                "cpu,cpuacct/cpu.cfs_quota_us": "200000",
                "cpu,cpuacct/cpu.cfs_period_us": "100000",
                "memory/x/cpu.max": "100 100000",
            },
            2.0,
        ),
        (
            "1:cpu:/\n0::/\n",
            {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
            None,
        ),
        ("0::/gone\n", {}, None),
        ("0::/\n", {"cpu.max": "what is this"}, None),
    ],
)
def test_the_tightest_limit_counts(tmp_path, membership, files, cores):
    limit = limit_of(tmp_path, membership, files)
    assert (limit.cores if limit else None) == cores


@pytest.mark.parametrize(
    ("files", "used"),
    [
        ({"cpu.max": "100000 100000", "cpu.stat": "usage_usec 2500000\nuser_usec 1"}, 2.5),
        (
            {
                "cpu/cpu.cfs_quota_us": "100000",
                "cpu/cpu.cfs_period_us": "100000",
                "cpu/cpuacct.usage": "7000000000",
            },
            7.0,
        ),
        ({"cpu.max": "100000 100000"}, 0.0),
    ],
)
def test_time_that_the_group_used_is_in_seconds(tmp_path, files, used):
    limit = limit_of(tmp_path, "1:cpu:/\n0::/\n", files)
    assert limit is not None
    assert limit.used() == used


def test_without_control_groups_there_is_no_limit(tmp_path):
    assert cpu_limit(tmp_path / "nowhere", tmp_path / "nothing") is None


@pytest.mark.parametrize(
    ("membership", "files", "limit"),
    [
        ("0::/\n", {"memory.max": "2147483648"}, 2**31),
        ("0::/\n", {"memory.max": "max"}, None),
        ("0::/a/b\n", {"a/memory.max": "1000", "a/b/memory.max": "4000"}, 1000),
        # version 1: a number beyond any memory means none
        ("4:memory:/x\n", {"memory/x/memory.limit_in_bytes": "9223372036854771712"}, None),
        ("4:memory:/x\n2:cpu:/\n", {"memory/x/memory.limit_in_bytes": "5000"}, 5000),
        ("0::/gone\n", {}, None),
    ],
)
def test_the_tightest_limit_of_memory_counts(tmp_path, membership, files, limit):
    limit_of(tmp_path, membership, files)
    assert memory_limit(tmp_path / "root", tmp_path / "membership") == limit
