"""Whether the other processes of a run are still there.

    each process ──── a count, every second ────► the store where they met
    process 0 reads the counts of all, the others that of process 0; after an error those of all
    one that stands still for `limit`, or an error of one ──► all end, and say whose it was

A process may well wait hours for another that evaluates, exports or fills a cache: what must not
stop is its count, which a thread of its own keeps. One that was stopped or killed counts no more.
What waits inside torch for the other processes cannot be called back; the thread then ends the
process, a few seconds after the main thread could have ended it itself.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import threading
import time
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from textdiff.errors import LostProcessError, TextdiffError
from textdiff.stopping import Interrupted

if TYPE_CHECKING:
    from accelerate import Accelerator

BEAT = 1.0  # seconds between two counts
SILENT = 3.0  # seconds after which one that is known to be gone can be named
GRACE = 5.0  # seconds in which the main thread, or another process, may end by itself
RUNS = itertools.count()  # of this process, each with keys of its own


@dataclass(frozen=True)
class End:
    """Why a run ends: a line, and the exit code of all."""

    message: str
    code: int


class RankWatch:
    """Of this process over the others, inside a `with` block; alone it does nothing. All processes
    enter and leave it together.

    Args:
        minutes: without a count, after which a process is lost.

    Raises:
        LostProcessError: on leaving the block by an error that was another process's.
    """

    def __init__(self, accelerator: Accelerator, minutes: float) -> None:
        self.accelerator, self.limit = accelerator, 60 * minutes
        self.rank, self.size = accelerator.process_index, accelerator.num_processes
        self.end: End | None = None
        self._seen: dict[int, tuple[str, float]] = {}  # rank -> count, when it was new
        self._answered = time.monotonic()  # when the store did, the last time
        self._reachable = True
        self._left = threading.Event()  # the main thread is out of the block
        self._threads: list[threading.Thread] = []
        self._heard = threading.Lock()  # taken once, by who says that this process knows the end

    def __enter__(self) -> RankWatch:
        if self.size > 1:
            self._store, self._prefix = _store(), f"textdiff/{next(RUNS)}/"
            self._count(0)
            self.accelerator.wait_for_everyone()
            self._answered = time.monotonic()
            others = range(1, self.size) if self.rank == 0 else (0,)
            self._seen = dict.fromkeys(others, ("0", self._answered))
            for work in (self._exchange, self._judge):
                thread = threading.Thread(target=work, name=f"ranks{work.__name__}", daemon=True)
                thread.start()
                self._threads.append(thread)
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self.size == 1:
            return
        try:
            self._leave_together(error)
        finally:
            for thread in self._threads:  # one inside the store aborts a Python that ends meanwhile
                thread.join(GRACE)

    def _leave_together(self, error: BaseException | None) -> None:
        if error is not None:
            self._fail(error)
            return
        try:
            self.accelerator.wait_for_everyone()
            self._left.set()
            self.accelerator.wait_for_everyone()  # nobody looks any more when the first one ends
        except RuntimeError as met:
            self._fail(met)
            raise

    def _fail(self, error: BaseException) -> None:
        """Tells the others of it. Raises LostProcessError: it was another's."""
        cause = self._of_another() if _of_connection(error) else None
        self._left.set()
        if cause is None:
            self._tell(_said(error, self.rank))
            self._wait_for_others(self.size)
            return
        if self._reachable and self.end is None:
            self._tell(cause)
        if self.rank == 0:
            lost = cause.code == LostProcessError.exit_code  # and will not hear
            self._wait_for_others(self.size - lost)
        raise LostProcessError(cause.message, cause.code) from None

    def _of_another(self) -> End | None:
        """Why the connection to another process ended; waits until it can be told."""
        since, before = time.monotonic(), self._counts()
        while time.monotonic() < since + GRACE:
            if self.end is not None:
                return self.end
            if before and time.monotonic() > since + SILENT:
                now = self._counts()
                silent = [rank for rank, count in now.items() if count == before[rank]]
                if silent:
                    return _lost(silent[0], "has ended, or does not answer")
            time.sleep(0.1)
        return None

    def _counts(self) -> dict[int, bytes]:
        """Of all others; of none where the store does not answer: then `_judge` says whose it
        is."""
        others = [rank for rank in range(self.size) if rank != self.rank]
        try:
            counts = self._store.multi_get([f"{self._prefix}{rank}" for rank in others])
        except RuntimeError:
            self._reachable = False
            return {}
        return dict(zip(others, counts, strict=True))

    def _ages(self) -> dict[int, float]:
        """Seconds since the last new count, by rank."""
        now = time.monotonic()
        return {rank: now - since for rank, (_, since) in self._seen.items()}

    def _count(self, number: int) -> None:
        self._store.set(f"{self._prefix}{self.rank}", str(number))

    def _exchange(self) -> None:
        """Counts and reads. Apart from `_judge`, since the store may not answer."""
        number = 0
        try:
            while not self._left.is_set():
                number += 1
                self._count(number)
                counts = self._store.multi_get([f"{self._prefix}{rank}" for rank in self._seen])
                now = time.monotonic()
                for rank, count in zip(self._seen, counts, strict=True):
                    if count.decode() != self._seen[rank][0]:
                        self._seen[rank] = (count.decode(), now)
                if self._store.check([f"{self._prefix}end"]):
                    self.end = End(**json.loads(self._store.get(f"{self._prefix}end")))
                    self._hear()
                    return
                self._answered = now
                self._left.wait(BEAT)
        except RuntimeError:  # torch.distributed.DistError, and what gloo raises
            self._reachable = False

    def _judge(self) -> None:
        looked = time.monotonic()
        while not self._left.wait(BEAT / 2):
            now = time.monotonic()
            if now - looked > SILENT:  # it was us who were stopped
                asleep = now - looked
                self._answered += asleep
                self._seen = {r: (count, at + asleep) for r, (count, at) in self._seen.items()}
            looked = now
            self.end = self.end or self._found()
            if self.end is not None:
                self._leave(self.end)

    def _found(self) -> End | None:
        if not self._reachable:
            return _lost(0, "has ended: nobody answers where the processes met")
        minutes = f"has not answered for {self.limit / 60:g} minutes (--train.rank-timeout)"
        if time.monotonic() - self._answered > self.limit:
            return _lost(0, minutes)
        late = [rank for rank, age in self._ages().items() if age > self.limit]
        if not late:
            return None
        end = _lost(late[0], minutes)
        threading.Thread(target=self._tell, args=(end,), daemon=True).start()
        return end

    def _tell(self, end: End) -> None:
        """The others, unless one of them was first."""
        try:
            self._store.compare_set(f"{self._prefix}end", "", json.dumps(asdict(end)))
        except RuntimeError:
            self._reachable = False

    def _wait_for_others(self, count: int) -> None:
        """So many, this one included, hear of it before what they met through may be gone."""
        deadline = time.monotonic() + GRACE
        try:
            self._hear()
            while self._store.add(f"{self._prefix}heard", 0) < count:
                if time.monotonic() > deadline:
                    return
                time.sleep(0.1)
        except RuntimeError:
            return

    def _hear(self) -> None:
        """This process knows that the run ends."""
        if self._heard.acquire(blocking=False):
            self._store.add(f"{self._prefix}heard", 1)

    def _leave(self, end: End) -> None:
        if self._left.wait(GRACE):
            return
        try:  # nobody may read what is printed any more
            print(f"textdiff: error: {end.message}", file=sys.stderr)
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(end.code)


def _store() -> Any:
    """Where the processes met, by a connection of our own: another thread may wait in the usual
    one."""
    from torch.distributed.distributed_c10d import _get_default_store

    return _get_default_store().clone()


def _of_connection(error: BaseException) -> bool:
    """Whether it may come of another process's end."""
    from torch.distributed import DistError

    return isinstance(error, DistError) or (
        isinstance(error, RuntimeError) and "gloo" in str(error)
    )


def _said(error: BaseException, rank: int) -> End:
    code = getattr(error, "exit_code", 1)
    if isinstance(error, (TextdiffError, Interrupted)):
        return End(f"process {rank} ended: {error}", code)
    return End(f"process {rank} ended: {type(error).__name__}: {error}", code)


def _lost(rank: int, how: str) -> End:
    again = "run the same command again to continue from the last checkpoint"
    return End(f"process {rank} of the run {how}; {again}", LostProcessError.exit_code)
