"""How much processor time and memory the control group of this process (a container, a batch job)
may use.

    /proc/self/cgroup ──► folders of the group and of those above it ──► the tightest limit

Version 2 (docs.kernel.org/admin-guide/cgroup-v2): cpu.max holds "quota period" in microseconds, and
cpu.stat the time used so far, memory.max bytes. Version 1 has cpu.cfs_quota_us, cpu.cfs_period_us,
cpuacct.usage and memory.limit_in_bytes, where a number beyond any memory means none.
Elsewhere than on Linux there is no limit to read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT, MEMBERSHIP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")
NO_LIMIT = 2**60  # bytes


@dataclass(frozen=True)
class CpuLimit:
    """cores: seconds of processor time per second. folder: of the group that has the limit."""

    cores: float
    folder: Path

    def used(self) -> float:
        """Seconds of processor time that all of the group has used so far; 0.0 where it is not
        told."""
        for line in _text(self.folder / "cpu.stat").splitlines():
            if line.startswith("usage_usec "):
                return _number(line.split()[1]) / 1e6
        return _number(_text(self.folder / "cpuacct.usage")) / 1e9


def cpu_limit(root: Path = ROOT, membership: Path = MEMBERSHIP) -> CpuLimit | None:
    """The tightest limit on this process; None: it has none."""
    folders = dict.fromkeys(_folders(root, membership, "cpu"))
    limits = [CpuLimit(cores, folder) for folder in folders if (cores := _limit(folder)) > 0]
    return min(limits, key=lambda limit: limit.cores, default=None)


def memory_limit(root: Path = ROOT, membership: Path = MEMBERSHIP) -> int | None:
    """Bytes, the tightest limit on this process; None: it has none."""
    limits = [
        _number(_text(folder / name))
        for folder in dict.fromkeys(_folders(root, membership, "memory"))
        for name in ("memory.max", "memory.limit_in_bytes")
    ]
    return int(min((each for each in limits if 0 < each < NO_LIMIT), default=0)) or None


def _folders(root: Path, membership: Path, controller: str) -> Iterator[Path]:
    """Of the group and of each above it. Inside a container the outermost may be all there is."""
    for line in _text(membership).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mount = root / controllers
        group = Path(path.lstrip("/"))
        yield from (mount / part for part in (group, *group.parents))
        yield from (root / controller / part for part in (group, *group.parents) if controllers)


def _limit(folder: Path) -> float:
    """In cores; 0.0: none."""
    quota, _, period = _text(folder / "cpu.max").partition(" ")
    if not quota:
        quota, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
    return max(0.0, _number(quota)) / (_number(period) or 1e5)  # "max", and -1: no limit


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError:
        return ""
