"""What is timed, in a process of its own that has the card to itself.

    make(**given) ──► Bench ── ready: names of its runs, facts ──► turns, asked for one by one

Without a GPU all of it lives in this process (`Inline`).
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

import torch
from rounds import seconds_of

# imported once, by the server that processes are forked from: each then starts at once
PRELOADED = (
    "gpu_training", "gpu_profile", "gpu_sampling", "gpu_loss", "gpu_loop",
    "diffusers.models.unets.unet_2d_condition", "diffusers.training_utils", "open_clip.loss",
)  # fmt: skip
BAD_FORK = "re-initialize CUDA in forked subprocess"  # something preloaded has asked the GPU


@dataclass
class Bench:
    """runs: by name, what one call of is timed; each may be warmed up by calling it.
    facts: what is to be known of them, such as the batch.
    rest: gives back memory that a run keeps until the next."""

    runs: Mapping[str, Callable[[], object]]
    facts: Mapping[str, float] = field(default_factory=dict)
    rest: Callable[[], object] = lambda: None


Make = Callable[..., Bench]


@dataclass(frozen=True)
class Ready:
    runs: list[str]
    facts: Mapping[str, float]


@dataclass(frozen=True)
class Turn:
    """seconds: of each call. gib: the most that torch had allocated meanwhile."""

    seconds: float
    gib: float


@dataclass(frozen=True)
class Failed:
    why: str


def told(error: BaseException) -> str:
    """In one line, fit for a table."""
    text = "".join(traceback.format_exception_only(error)).strip()
    return " ".join(text.split())[:200].replace("|", "/")


class Served:
    """A Bench and what is asked of it."""

    def __init__(self, make: Make, given: Mapping[str, object], device: str) -> None:
        self.bench, self.device = make(**given), device
        self.ready = Ready(list(self.bench.runs), self.bench.facts)

    def turn(self, name: str, count: int) -> Turn:
        """`count` calls after an untimed one, which takes the memory that `rest` gave back."""
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

    def once(self, name: str) -> object:
        """What a run returns that measures itself."""
        return self.bench.runs[name]()


def answer(served: Served, what: str, *given: object) -> object:
    """What `served` says, or why it cannot; what else it offers may still work."""
    try:
        return getattr(served, what)(*given)
    except Exception as error:
        traceback.print_exc()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return Failed(told(error))


def serve(make: Make, given: Mapping[str, object], device: str, connection: Connection) -> None:
    """In the process of a Bench: answers until there is nothing more to do."""
    os.setsid()  # what it starts, such as compilers, ends with it
    try:
        served = Served(make, given, device)
    except Exception as error:
        traceback.print_exc()
        connection.send(Failed(told(error)))
        return
    connection.send(served.ready)
    with suppress(EOFError):
        while (asked := connection.recv()) is not None:
            connection.send(answer(served, *asked))


class Inline:
    """A Bench in this process. It takes as long as it takes."""

    def __init__(self, make: Make, given: Mapping[str, object], device: str) -> None:
        self.gone: str | None = None
        self.ready = Ready([], {})
        try:
            self.served = Served(make, given, device)
            self.ready = self.served.ready
        except Exception as error:
            traceback.print_exc()
            self.gone = told(error)

    def wait(self, end: float) -> None:
        """It is ready, or gone."""

    def ask(self, what: str, *given: object, end: float) -> object:
        return Failed(self.gone) if self.gone else answer(self.served, what, *given)

    def stop(self) -> None:
        self.gone = self.gone or "stopped"


class Apart:
    """A Bench in a process of its own, which starts to prepare at once.

    gone: why it answers no more.
    """

    start_method = "forkserver"

    def __init__(self, make: Make, given: Mapping[str, object], device: str) -> None:
        self.given = (make, given, device)
        self.ready = Ready([], {})
        self._start()

    def _start(self) -> None:
        context = multiprocessing.get_context(self.start_method)
        if self.start_method == "forkserver":
            context.set_forkserver_preload(list(PRELOADED))
        self.connection, there = context.Pipe()
        self.process = context.Process(
            target=serve, args=(*self.given, there), daemon=False
        )  # a daemon could not start the compiler's own processes
        self.process.start()
        there.close()
        self.gone: str | None = None

    def wait(self, end: float) -> None:
        """Until it is ready, or gone; at `end` of the clock it is stopped."""
        said = self._answer(end)
        if isinstance(said, Failed) and BAD_FORK in said.why and self.start_method != "spawn":
            self.stop()
            type(self).start_method = "spawn"  # slower, always right; for all that follow too
            self._start()
            said = self._answer(end)
        if isinstance(said, Ready):
            self.ready = said
        elif isinstance(said, Failed):
            self.gone = said.why

    def ask(self, what: str, *given: object, end: float) -> object:
        """`turn` or `once` of `Served`, or Failed; at `end` of the clock it is stopped."""
        if self.gone:
            return Failed(self.gone)
        try:
            self.connection.send((what, *given))
        except OSError:
            self.gone = "its process is gone"
        return self._answer(end)

    def _answer(self, end: float) -> object:
        try:
            if self.gone is None and self.connection.poll(max(0.0, end - time.monotonic())):
                return self.connection.recv()
            self.gone = self.gone or "stopped at its time limit"
        except (EOFError, OSError):
            self.gone = "its process is gone"
        self.stop()
        return Failed(self.gone)

    def stop(self) -> None:
        """Ends the process and all that it started; its memory on the card is free afterwards."""
        if self.connection.closed:
            return
        if self.process.is_alive() and self.gone is None:
            with suppress(OSError):
                self.connection.send(None)
            self.process.join(5)
        self.gone = self.gone or "stopped"
        if self.process.pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
        if self.process.is_alive():
            self.process.kill()
        self.process.join(5)
        self.connection.close()
