"""What is timed in turn, prepared in processes of its own, so that all of it compiles at once.

    make(**given) ──► Bench ── prepare, beside others ──► ready ── warm, time: one after the other

A process that fails, or is not ready in time, costs its own rows alone. Without a GPU all of it
lives in this process (`Inline`).
"""

from __future__ import annotations

import multiprocessing
import os
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import torch
from rounds import seconds_of

PATIENCE = 60.0  # seconds that a turn may take


@dataclass
class Bench:
    """runs: by name, what one call of is timed; each may be warmed up by calling it.
    prepare: what takes long and little memory, such as compiling.
    rest: gives back memory that a run keeps until the next."""

    runs: dict[str, Callable[[], object]]
    prepare: Callable[[], object] = lambda: None
    rest: Callable[[], object] = lambda: None


@dataclass(frozen=True)
class Turn:
    """seconds: of each call. gib: the most that torch had allocated meanwhile."""

    seconds: float
    gib: float


class Served:
    """A Bench and what is asked of it."""

    def __init__(self, make: Callable[..., Bench], given: dict[str, Any], device: str) -> None:
        self.bench, self.device = make(**given), device
        self.bench.prepare()

    @property
    def ready(self) -> list[str]:
        """What there is to run."""
        return list(self.bench.runs)

    def turn(self, name: str, count: int) -> Turn:
        """`count` calls after an untimed one, which takes the memory that `release` gave back."""
        run, cuda = self.bench.runs[name], self.device.startswith("cuda")
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        run()
        seconds = seconds_of(lambda: [run() for _ in range(count)], self.device) / count
        gib = torch.cuda.max_memory_allocated() / 2**30 if cuda else 0.0
        self.bench.rest()
        if cuda:
            torch.cuda.empty_cache()
        return Turn(seconds, gib)

    def once(self, name: str) -> Any:
        """What a run returns that measures itself."""
        return self.bench.runs[name]()


def serve(make, given: dict[str, Any], device: str, connection: Connection) -> None:
    """In the process of a Bench: answers until there is nothing more to do."""
    try:
        served = Served(make, given, device)
    except Exception as error:
        connection.send(Failed(told(error)))
        raise
    connection.send(served.ready)
    with suppress(EOFError):
        while (asked := connection.recv()) is not None:
            connection.send(answer(served, *asked))


def answer(served: Served, what: str, *given: Any) -> Any:
    """What `served` says, or why it cannot; what else it offers may still work."""
    try:
        return getattr(served, what)(*given)
    except Exception as error:
        traceback.print_exc()
        return Failed(told(error))


@dataclass(frozen=True)
class Failed:
    why: str


def told(error: BaseException) -> str:
    """In one line."""
    text = "".join(traceback.format_exception_only(error)).strip()
    return " ".join(text.split())[:300].replace("|", "/")


class Inline:
    """A Bench in this process, prepared when it is waited for."""

    def __init__(self, make: Callable[..., Bench], given: dict[str, Any], device: str) -> None:
        self.make, self.given, self.device = make, given, device
        self.served: Served | None = None
        self.gone: str | None = None
        self.runs: list[str] = []

    def wait(self, until: float) -> None:
        if self.served is not None or self.gone:
            return
        try:
            self.served = Served(self.make, self.given, self.device)
            self.runs = self.served.ready
        except Exception as error:
            self.gone = told(error)

    def ask(self, what: str, *given: Any) -> Any:
        return Failed(self.gone) if self.gone else answer(self.served, what, *given)

    def stop(self) -> None:
        self.served = None


class Apart:
    """A Bench in a process of its own, which starts to prepare at once.

    gone: why it answers no more.
    """

    def __init__(self, make: Callable[..., Bench], given: dict[str, Any], device: str) -> None:
        spawn = multiprocessing.get_context("spawn")
        self.connection, there = spawn.Pipe()
        self.process = spawn.Process(
            target=serve, args=(make, given, device, there), daemon=False
        )  # a daemon could not start the compiler's own processes
        self.process.start()
        there.close()
        self.gone: str | None = None
        self.runs: list[str] = []

    def wait(self, until: float) -> None:
        """Until it is ready; one that is not by then is stopped."""
        if self.runs or self.gone:
            return
        ready = self._answer(until - time.monotonic())
        if isinstance(ready, Failed):
            self.gone = ready.why
        else:
            self.runs = ready

    def ask(self, what: str, *given: Any) -> Any:
        """`turn` or `once` of `Served`, or Failed."""
        if self.gone:
            return Failed(self.gone)
        self.connection.send((what, *given))
        return self._answer(PATIENCE)

    def _answer(self, seconds: float) -> Any:
        seconds = max(0.0, seconds)
        try:
            if self.connection.poll(seconds):
                return self.connection.recv()
            self.gone = f"no answer after {seconds:.0f} s"
        except (EOFError, OSError):
            self.gone = "its process is gone"
        self.stop()
        return Failed(self.gone)

    def stop(self) -> None:
        if self.process.is_alive() and not self.gone:
            with suppress(OSError):
                self.connection.send(None)
            self.process.join(2)
        if self.process.is_alive():
            self.process.kill()


class Pool:
    """The Benches of all sections."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.workers: dict[str, Inline | Apart] = {}

    def start(self, name: str, make: Callable[..., Bench], **given: Any) -> None:
        kind = Apart if self.device.startswith("cuda") else Inline
        self.workers[name] = kind(make, given, self.device)

    def stop(self, prefix: str = "") -> None:
        """Those whose names start so; their memory is free afterwards."""
        for name in [name for name in self.workers if name.startswith(prefix)]:
            self.workers.pop(name).stop()

    def in_turn(
        self,
        names: list[str],
        runs: Callable[[str], bool],
        *,
        rounds: int,
        seconds: float,
        ready_until: float,
        until: float,
    ) -> dict[str, dict[str, Any]]:
        """By run: the seconds of each round and the most GiB, or an error.

        Args:
            names: of the workers.
            runs: whether a run of theirs is asked for.
            seconds: about how long a turn should take.
            ready_until: workers that are not ready by then are given up.
            until: no round but the first two starts after it.
        """
        found: dict[str, dict[str, Any]] = {}
        counts: dict[str, tuple[Inline | Apart, int]] = {}
        for name in names:
            worker = self.workers[name]
            worker.wait(ready_until)
            if worker.gone:
                found[name] = {"error": worker.gone}
            for run in filter(runs, worker.runs):
                worker.ask("turn", run, 1)  # kernels are chosen, graphs recorded
                warm = worker.ask("turn", run, 1)
                if isinstance(warm, Failed):
                    found[run] = {"error": warm.why}
                    continue
                found[run] = {"seconds": [], "gib": 0.0}
                counts[run] = worker, max(1, min(50, round(seconds / warm.seconds)))
        for done in range(rounds):
            if done >= 2 and time.monotonic() > until:
                break
            for run, (worker, count) in counts.items():
                turn = worker.ask("turn", run, count)
                if isinstance(turn, Failed):
                    found[run] = {"error": turn.why}
                elif "error" not in found[run]:
                    found[run]["seconds"].append(turn.seconds)
                    found[run]["gib"] = max(found[run]["gib"], turn.gib)
        return found


def few_compile_threads(processes: int) -> None:
    """For the processes started from now on, which compile at the same time."""
    cores = os.cpu_count() or 1
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", str(max(2, 2 * cores // processes)))
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, cores // processes)))
