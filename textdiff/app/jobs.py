"""One worker, and those who wait for it.

    submit(work) ── FIFO, bounded ──► worker: for event in work(): hand it on ──► Ticket.events()

Work is an iterator of events. Between two of them, and only there, it can be stopped: its generator
is closed, so that its `finally` runs. Work that has nothing to tell yields None from time to time,
to be stopped there; a job that draws does so at every denoising step.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

from textdiff.errors import CheckpointError, TextdiffError, UsageError

BUG = "this request failed, by a fault of textdiff's own; the terminal of the server says more"


class Transient:
    """An event that a newer one of its class replaces while nobody has read it."""


@dataclass(frozen=True)
class Waiting(Transient):
    """position: how many jobs come before this one, the running one included."""

    position: int


@dataclass(frozen=True)
class Failed:
    """The last event of a job that ended with an error.

    error: in words, one line.
    by_server: whoever asked cannot mend it.
    """

    error: str
    by_server: bool = False


@dataclass(frozen=True)
class Cancelled:
    """The last event of a job that was cancelled before its end."""


Work = Callable[[], Iterator[object]]


class QueueFullError(TextdiffError):
    """As many jobs wait as may."""


class Ticket:
    """A job that was submitted.

    id: not to be guessed, so that who knows it may cancel the job.
    """

    def __init__(self, jobs: Jobs, work: Work) -> None:
        self.id = uuid.uuid4().hex
        self._jobs, self._work = jobs, work
        self._cancelled = threading.Event()
        self._told_position = 0
        self._changed = threading.Condition()
        self._unread: deque[object] = deque()
        self._ended = False
        self._listeners: list[Callable[[], None]] = []

    def position(self) -> int:
        """How many jobs come before this one, the running one included; 0: it runs or has ended."""
        return self._jobs.position(self)

    def cancel(self) -> None:
        """Ends the job: now if it waits, after its present step if it runs."""
        self._cancelled.set()
        self._jobs.drop(self)

    @property
    def ended(self) -> bool:
        """Whether the last event is there to be read, or was."""
        return self._ended

    def poll(self) -> list[object]:
        """The events since the last call; does not wait."""
        with self._changed:
            events = list(self._unread)
            self._unread.clear()
        return events

    def events(self) -> Iterator[object]:
        """Every event from now on, as it comes: `Waiting` while others come first, then those of
        the work, and, where it did not end well, `Failed` or `Cancelled` as the last."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._unread or self._ended)
            events = self.poll()
            yield from events
            if not events and self._ended:
                return

    def result(self) -> object:
        """Waits for the end and gives the last event, whatever it is. None: there was none."""
        last = None
        for event in self.events():
            last = event
        return last

    def listen(self, changed: Callable[[], None]) -> None:
        """Has `changed` called, by another thread, whenever there is something to poll."""
        self._listeners.append(changed)
        changed()

    def _tell(self, event: object | None, last: bool = False) -> None:
        """None: no event, but the end."""
        with self._changed:
            if self._ended:
                return
            if event is not None:
                newest = self._unread[-1] if self._unread else None
                if isinstance(event, Transient) and type(newest) is type(event):
                    self._unread.pop()
                self._unread.append(event)
            self._ended = last
            self._changed.notify_all()
        for changed in self._listeners:
            changed()


class Jobs:
    """One worker thread, and a queue of at most `most` tickets before it."""

    def __init__(self, most: int, name: str = "worker") -> None:
        self.most = most
        self._lock = threading.Condition()
        self._waiting: deque[Ticket] = deque()
        self._running: Ticket | None = None
        self._closed = False
        self._worker = threading.Thread(target=self._run, name=name, daemon=True)
        self._worker.start()

    def submit(self, work: Work) -> Ticket:
        """Queues `work`, which the worker calls and then iterates.

        Raises:
            QueueFullError: as many wait as may. UsageError: the server ends.
        """
        ticket = Ticket(self, work)
        with self._lock:
            if self._closed:
                raise UsageError("the server is about to end; ask again when it is back")
            if len(self._waiting) >= self.most:
                raise QueueFullError(
                    f"{len(self._waiting)} requests wait already; try again in a while"
                )
            self._waiting.append(ticket)
            self._lock.notify_all()
        self._tell_positions()
        return ticket

    def position(self, ticket: Ticket) -> int:
        """See `Ticket.position`."""
        with self._lock:
            before = 0 if self._running is None else 1
            for number, waiting in enumerate(self._waiting):
                if waiting is ticket:
                    return before + number
        return 0

    @property
    def length(self) -> int:
        """Of the queue, the running job included."""
        with self._lock:
            return len(self._waiting) + (self._running is not None)

    def find(self, ticket_id: str) -> Ticket | None:
        """The ticket that waits or runs under this id."""
        with self._lock:
            there = [*self._waiting, *([] if self._running is None else [self._running])]
        return next((ticket for ticket in there if ticket.id == ticket_id), None)

    def drop(self, ticket: Ticket) -> None:
        """Takes a cancelled ticket out of the queue, if it waits there."""
        with self._lock:
            if ticket not in self._waiting:
                return
            self._waiting.remove(ticket)
        ticket._tell(Cancelled(), last=True)
        self._tell_positions()

    def close(self, timeout: float | None = 10.0) -> None:
        """Cancels all jobs and waits for the worker to end. Nothing is accepted any more."""
        with self._lock:
            self._closed = True
            there = [*self._waiting, *([] if self._running is None else [self._running])]
            self._lock.notify_all()
        for ticket in there:
            ticket.cancel()
        if threading.current_thread() is not self._worker:
            self._worker.join(timeout)

    def _tell_positions(self) -> None:
        with self._lock:  # throughout, so that no job is told to wait after it has begun
            before = 0 if self._running is None else 1
            for number, ticket in enumerate(self._waiting):
                if before + number != ticket._told_position:
                    ticket._told_position = before + number
                    ticket._tell(Waiting(before + number))

    def _run(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._waiting or self._closed)
                if not self._waiting:
                    return
                self._running = ticket = self._waiting.popleft()
            self._tell_positions()
            last = self._do(ticket)
            with self._lock:
                self._running = None
            ticket._tell(last, last=True)
            self._tell_positions()

    def _do(self, ticket: Ticket) -> Failed | Cancelled | None:
        """Runs the job; gives its last event where it did not end well."""
        events: Iterator[object] | None = None
        try:
            if ticket._cancelled.is_set():
                return Cancelled()
            events = ticket._work()
            for event in events:
                if ticket._cancelled.is_set():
                    return Cancelled()
                if event is not None:
                    ticket._tell(event)
            return None
        except TextdiffError as error:
            by_server = isinstance(error, CheckpointError)
            return Failed(" ".join(str(error).split()), by_server)
        except OSError as error:
            logging.getLogger(__name__).exception("a job failed")
            return Failed(f"the server cannot read or write a file: {error.strerror}", True)
        except Exception:
            logging.getLogger(__name__).exception("a job failed")
            return Failed(BUG, by_server=True)
        finally:
            _close(events)


def _close(events: Iterator[object] | None) -> None:
    """Runs the `finally` of a generator; an error in it is none of the next job's."""
    try:
        if isinstance(events, Generator):
            events.close()
    except Exception:
        logging.getLogger(__name__).exception("a job that had ended failed")
