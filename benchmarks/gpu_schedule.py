"""One process at a time on the card, each within its limit, all within the total.

    jobs, in order ──► one process each ──► rounds ──► Measured by job and row
                 ▲── again from the first, as long as there is time ──┘

What is not measured has its reason: no time left, its limit, its error.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from gpu_workers import Apart, Failed, Inline, Make, Turn

ROUNDS = 5
CYCLES = 3
LEAST = 12.0  # seconds below which nothing starts
MARGIN = 1.2  # a repetition may take so much longer than the first time


@dataclass(frozen=True)
class Job:
    """What one process measures.

    rows: names of its runs, known before, so that what is skipped is named.
    limit: seconds that its process may take in all.
    in_turn: its runs are timed round by round in turn; else one after the other, so that what a
        late one takes, such as compiling, costs the earlier ones nothing.
    timed: runs are timed; else they return their own numbers.
    batch_of: name of the job among whose facts is the `batch` that this one is given; its own: what
        it found in the first cycle is given to it in the next.
    """

    name: str
    rows: tuple[str, ...]
    make: Make
    given: Mapping[str, object]
    limit: float
    in_turn: bool = True
    timed: bool = True
    batch_of: str | None = None


@dataclass
class Measured:
    """A row of a table.

    seconds: of a call, by round of all cycles. gib: the most allocated.
    said: by a run that measures itself, in the last cycle.
    why: there is nothing of these.
    """

    seconds: list[float] = field(default_factory=list)
    gib: float = 0.0
    said: object = None
    why: str = ""

    @property
    def is_empty(self) -> bool:
        return not self.seconds and self.said is None

    def add(self, later: Measured) -> None:
        """What another cycle found; one that failed changes nothing."""
        if self.is_empty or not later.is_empty:
            self.why = later.why
            self.seconds += later.seconds
            self.gib = max(self.gib, later.gib)
            self.said = later.said if later.said is not None else self.said


@dataclass
class Found:
    """rows: by job and name. facts: by job. took: seconds of each job's last process."""

    rows: dict[str, dict[str, Measured]] = field(default_factory=dict)
    facts: dict[str, Mapping[str, float]] = field(default_factory=dict)
    took: dict[str, float] = field(default_factory=dict)

    def measured(self, job: Job) -> bool:
        """Whether it has rows and each of them was."""
        rows = self.rows[job.name].values()
        return bool(rows) and not any(row.is_empty for row in rows)

    def again(self, job: Job) -> float:
        """Seconds that it may take once more."""
        return MARGIN * self.took[job.name]


def carry_out(
    jobs: Iterable[Job],
    *,
    device: str,
    end: float,
    rounds: int = ROUNDS,
    cycles: int = CYCLES,
    turn: float = 0.5,
    done: Callable[[Job, Found], None] = lambda job, found: None,
) -> Found:
    """All that there is time for.

    Args:
        end: of the clock.
        turn: seconds that a turn takes, about.
        done: is called after each job.
    """
    found, jobs = Found(), list(jobs)
    for cycle in range(cycles):
        for job in jobs:
            left = end - time.monotonic()
            if cycle and not (job.timed and found.measured(job) and left >= found.again(job)):
                continue
            if left < min(LEAST, job.limit):
                _skip(job, found, f"skipped: {max(0.0, left):.0f} s were left")
            else:
                _run(job, found, device, min(end, time.monotonic() + job.limit), rounds, turn)
            done(job, found)
    return found


def _skip(job: Job, found: Found, why: str) -> None:
    found.rows[job.name] = {row: Measured(why=why) for row in job.rows}
    found.took[job.name] = 0.0


def _run(job: Job, found: Found, device: str, end: float, rounds: int, turn: float) -> None:
    start = time.monotonic()
    given = dict(job.given)
    if job.batch_of is not None:
        batch = found.facts.get(job.batch_of, {}).get("batch")
        if batch is not None:
            given["batch"] = int(batch)
        elif job.batch_of != job.name:
            _skip(job, found, f"skipped: '{job.batch_of}' found no batch")
            return
    rows = found.rows.setdefault(job.name, {row: Measured() for row in job.rows})
    worker = (Apart if device.startswith("cuda") else Inline)(job.make, given, device)
    try:
        worker.wait(end)
        found.facts.setdefault(job.name, worker.ready.facts)
        for name, row in _measure(worker, job, end, rounds, turn).items():
            rows.setdefault(name, Measured()).add(row)
    finally:
        worker.stop()
    found.took[job.name] = time.monotonic() - start


def _measure(
    worker: Apart | Inline, job: Job, end: float, rounds: int, turn: float
) -> dict[str, Measured]:
    if worker.gone:
        return {row: Measured(why=worker.gone or "") for row in job.rows}
    names = worker.ready.runs
    if not job.timed:
        return {name: _own_numbers(worker.ask("once", name, end=end)) for name in names}
    groups = [names] if job.in_turn else [[name] for name in names]
    measured: dict[str, Measured] = {}
    for group in groups:
        counts = {}
        for name in group:
            warm = worker.ask("turn", name, 1, end=end)  # kernels are chosen, graphs recorded
            if isinstance(warm, Turn):
                warm = worker.ask("turn", name, 1, end=end)
            measured[name] = Measured(why=warm.why if isinstance(warm, Failed) else "")
            if isinstance(warm, Turn):
                counts[name] = max(1, min(50, round(turn / max(warm.seconds, 1e-9))))
        for _ in range(rounds):
            for name, count in counts.items():
                said = worker.ask("turn", name, count, end=end)
                if isinstance(said, Turn):
                    measured[name].seconds.append(said.seconds)
                    measured[name].gib = max(measured[name].gib, said.gib)
                elif isinstance(said, Failed):
                    measured[name].why = said.why
    return measured


def _own_numbers(said: object) -> Measured:
    return Measured(why=said.why) if isinstance(said, Failed) else Measured(said=said)
