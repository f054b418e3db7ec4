"""Free cores from shares of time, and where those come from."""

from __future__ import annotations

import os
from types import SimpleNamespace

import psutil
import pytest

from textdiff import cores
from textdiff.cgroup import CpuLimit
from textdiff.cores import Cores, core_of_processor, cores_of, measure_cores, usable_cores

ALONE, PAIRS = [0, 1, 2, 3], [0, 1, 0, 1]  # four cores; two with two hyperthreads each


@pytest.mark.parametrize(
    ("shares", "allowed", "core_of", "limit", "limit_used", "free"),
    [
        ([0.0, 0.0, 0.0, 0.0], [0, 1, 2, 3], ALONE, None, 0.0, 4.0),
        ([1.0, 0.0, 0.5, 0.0], [0, 1, 2, 3], ALONE, None, 0.0, 2.5),
        ([1.0, 0.0, 0.5, 0.0], [0, 1], ALONE, None, 0.0, 1.0),  # elsewhere is elsewhere
        ([0.0, 0.0, 0.0, 0.0], [0, 1, 2, 3], PAIRS, None, 0.0, 2.0),
        ([0.0, 0.0, 0.75, 0.75], [0, 1], PAIRS, None, 0.0, 0.5),  # a sibling that is not ours
        ([0.75, 0.0, 0.75, 0.0], [0, 1, 2, 3], PAIRS, None, 0.0, 1.0),  # a core at most
        ([0.0, 0.0, 0.0, 0.0], [0, 1, 2, 3], ALONE, 1.5, 0.0, 1.5),
        ([0.25, 0.0, 0.0, 0.0], [0, 1, 2, 3], ALONE, 3.0, 1.0, 2.0),  # another in the container
        ([1.0, 1.0, 1.0, 0.5], [0, 1, 2, 3], ALONE, 3.0, 0.0, 0.5),
        ([1.0, 1.0, 1.0, 1.0], [0, 1, 2, 3], ALONE, 1.0, 1.25, 0.0),
    ],
)
def test_free_cores(shares, allowed, core_of, limit, limit_used, free):
    found = cores_of(shares, allowed=allowed, core_of=core_of, limit=limit, limit_used=limit_used)
    assert found.measured
    assert found.free == free
    assert found.allowed == len({core_of[number] for number in allowed})


@pytest.mark.parametrize("shares", [[], [0.5, None], [0.5]])
def test_what_the_system_does_not_tell_counts_as_free_within_the_limit(shares):
    found = cores_of(shares, allowed=[0, 1], core_of=[0, 1], limit=1.0, limit_used=0.7)
    assert (found.measured, found.busy, found.free) == (False, (0.0, 0.0), 1.0)
    assert "cannot be measured" in str(found)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Cores(busy=(1.0, 0.0)), "1.0 of 2 cores are free"),
        (Cores(busy=(0.25,)), "0.8 of 1 core is free"),
        (
            Cores(busy=(0.0,) * 64, limit=2.0),
            "2.0 of 64 cores, of which the container may use 2, are free",
        ),
    ],
)
def test_in_words(found, words):
    assert str(found) == words


def test_cores_by_the_topology_of_linux(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(cores, "usable_processors", lambda: [0, 1, 2, 3])
    for number, siblings in enumerate(["0,2", "1,3", "0,2"]):
        file = tmp_path / f"cpu{number}/topology/thread_siblings_list"
        file.parent.mkdir(parents=True)
        file.write_text(f"{siblings}\n")
    assert core_of_processor(tmp_path) == [0, 1, 0, 3]  # the last is off


@pytest.mark.parametrize(("physical", "expected"), [(2, [0, 0, 1, 1]), (None, [0, 1, 2, 3])])
def test_cores_elsewhere_by_their_count(tmp_path, monkeypatch, physical, expected):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(cores, "usable_processors", lambda: [0, 1, 2, 3])
    monkeypatch.setattr(psutil, "cpu_count", lambda logical: physical)
    assert core_of_processor(tmp_path / "none") == expected


class Machine:
    """Two processors while somebody sleeps: the first half busy, the second waits for a disk. The
    container uses a fifth of a core."""

    def __init__(self):
        self.now, self.slept = 100.0, []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def cpu_times(self, percpu: bool) -> list[SimpleNamespace]:
        first = {"user": self.now / 2, "guest": self.now / 2, "idle": self.now / 2, "iowait": 0.0}
        second = {"user": 7.0, "guest": 0.0, "idle": 1.0, "iowait": self.now}
        return [SimpleNamespace(_asdict=lambda fields=fields: fields) for fields in (first, second)]


def test_measuring_sleeps_for_a_moment_and_counts_what_others_did(monkeypatch, tmp_path):
    machine = Machine()
    limit = CpuLimit(2.0, tmp_path)
    monkeypatch.setattr(CpuLimit, "used", lambda _self: 50 + machine.now / 5)
    monkeypatch.setattr(cores, "time", machine)
    monkeypatch.setattr(psutil, "cpu_times", machine.cpu_times)
    monkeypatch.setattr(cores, "cpu_limit", lambda: limit)
    monkeypatch.setattr(cores, "usable_processors", lambda: [0, 1])
    monkeypatch.setattr(cores, "core_of_processor", lambda: [0, 1])
    found = measure_cores()
    assert machine.slept == [cores.MOMENT] and cores.MOMENT <= 0.3
    assert found.busy == pytest.approx((0.5, 0.0))
    assert (found.limit, found.limit_used) == (2.0, pytest.approx(0.2))


def test_this_machine_has_free_cores_within_those_that_may_be_used():
    found = measure_cores(0.02)
    assert 1 <= found.allowed <= len(cores.usable_processors())
    assert 0 <= found.free <= found.allowed


@pytest.mark.parametrize(("limit", "expected"), [(None, 8), (2.5, 2), (0.5, 1), (64.0, 8)])
def test_usable_cores_are_within_the_limit(monkeypatch, tmp_path, limit, expected):
    monkeypatch.setattr(cores, "usable_processors", lambda: list(range(8)))
    monkeypatch.setattr(cores, "cpu_limit", lambda: limit and CpuLimit(limit, tmp_path))
    assert usable_cores() == expected
