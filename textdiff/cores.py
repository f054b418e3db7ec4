"""The cores that this process may use, and how much of them other programs leave free.

    free = min( sum over allowed cores of (1 - busy), limit of the container - others' use of it )

`busy` is measured over a moment in which this process sleeps, so that all of it is others'. A core
is a physical one: two hyperthreads share its arithmetic, which is what training waits for.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from textdiff.cgroup import CpuLimit, cpu_limit

MOMENT = 0.3  # seconds; the system counts in hundredths
TOPOLOGY = Path("/sys/devices/system/cpu")


@dataclass(frozen=True, kw_only=True)
class Cores:
    """Cores as they were in a moment.

    busy: of each core that this process may use, the share of the time that others held it.
    limit: cores' worth of time that the container may use, None where it has no limit; and
        `limit_used`, what others in it used.
    measured: False where the system does not tell, and all cores count as free.
    """

    busy: tuple[float, ...]
    limit: float | None = None
    limit_used: float = 0.0
    measured: bool = True

    @property
    def allowed(self) -> int:
        return len(self.busy)

    @property
    def free(self) -> float:
        """In cores, 0 to `allowed`."""
        free = sum(1 - share for share in self.busy)
        return max(0.0, free if self.limit is None else min(free, self.limit - self.limit_used))

    def __str__(self) -> str:
        """As in "1.0 of 2 cores are free"."""
        cores = f"{self.allowed} core{'' if self.allowed == 1 else 's'}"
        if self.limit is not None and self.limit < self.allowed:
            cores += f", of which the container may use {self.limit:.3g},"
        verb = "is" if self.allowed == 1 else "are"
        if not self.measured:
            return f"{cores}; how busy they are cannot be measured here"
        return f"{self.free:.1f} of {cores} {verb} free"


def measure_cores(seconds: float = MOMENT) -> Cores:
    """Sleeps for `seconds` and sees what others do meanwhile."""
    limit = cpu_limit()
    start, before, used = time.monotonic(), _times(), _used(limit)
    time.sleep(seconds)
    after, elapsed = _times(), time.monotonic() - start
    shares = [_busy(*pair) for pair in zip(before, after, strict=False)]
    return cores_of(
        shares,
        allowed=usable_processors(),
        core_of=core_of_processor(),
        limit=limit.cores if limit else None,
        limit_used=(_used(limit) - used) / elapsed,
    )


def cores_of(
    shares: Sequence[float | None],
    *,
    allowed: Sequence[int],
    core_of: Sequence[int],
    limit: float | None = None,
    limit_used: float = 0.0,
) -> Cores:
    """Processors (hyperthreads) as cores.

    Args:
        shares: of the time that each processor was busy; None: not told.
        allowed: numbers of the processors that may be used.
        core_of: each processor's core.
    """
    told = {number: share for number, share in enumerate(shares) if share is not None}
    measured = set(allowed) <= told.keys()
    held: dict[int, float] = {core_of[number]: 0.0 for number in allowed}
    for number, share in told.items() if measured else ():
        if core_of[number] in held:
            held[core_of[number]] += share
    return Cores(
        busy=tuple(min(1.0, share) for share in held.values()),
        limit=limit,
        limit_used=limit_used if measured else 0.0,
        measured=measured,
    )


def usable_processors() -> list[int]:
    """Numbers of those that this process may run on, hyperthreads each."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def usable_cores() -> int:
    """How many processors this process may keep busy, within its container's limit."""
    limit = cpu_limit()
    count = len(usable_processors())
    return min(count, max(1, int(limit.cores))) if limit else count


def core_of_processor(topology: Path = TOPOLOGY) -> list[int]:
    """By number of the processor: the first processor of the same core."""
    import psutil

    count = max(os.cpu_count() or 1, *(number + 1 for number in usable_processors()))
    files = [topology / f"cpu{number}/topology/thread_siblings_list" for number in range(count)]
    if any(file.is_file() for file in files):
        return [
            int(file.read_text().replace("-", ",").split(",")[0]) if file.is_file() else number
            for number, file in enumerate(files)
        ]
    physical = psutil.cpu_count(logical=False) or count
    return [number * min(physical, count) // count for number in range(count)]


def _times() -> list[tuple[float, float]]:
    """(seconds in all, seconds idle) of each processor since the machine started."""
    import psutil

    pairs = []
    for times in psutil.cpu_times(percpu=True):
        fields = times._asdict()  # guests' time is counted as the host's too
        total = sum(value for name, value in fields.items() if not name.startswith("guest"))
        pairs.append((total, fields["idle"] + fields.get("iowait", 0.0)))
    return pairs


def _busy(before: tuple[float, float], after: tuple[float, float]) -> float | None:
    total, idle = after[0] - before[0], after[1] - before[1]
    return min(1.0, max(0.0, 1 - idle / total)) if total > 0 else None


def _used(limit: CpuLimit | None) -> float:
    return limit.used() if limit else 0.0
