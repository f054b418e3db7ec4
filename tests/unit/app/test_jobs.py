"""Jobs: first come first served, stopped between two events, and a worker that survives them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from textdiff.app.jobs import BUG, Cancelled, Failed, Jobs, QueueFullError, Transient, Waiting
from textdiff.errors import CheckpointError, UsageError

SOON = 10.0


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    jobs = Jobs(most=3)
    yield jobs
    jobs.close()


class Steps:
    """Work whose steps a test lets happen one by one. The first begins by itself."""

    def __init__(self) -> None:
        self.next, self.begun, self.done = threading.Semaphore(0), threading.Event(), 0
        self.closed, self.stop = threading.Event(), lambda: None

    def __call__(self) -> Iterator[int]:
        try:
            while True:
                self.begun.set()
                assert self.next.acquire(timeout=SOON)
                self.done += 1
                yield self.done
        finally:
            self.closed.set()


def work(*events: object):
    return lambda: iter(events)


@pytest.fixture
def running(jobs) -> Iterator[Steps]:
    """Keeps the worker busy."""
    steps = Steps()
    ticket = jobs.submit(steps)
    assert steps.begun.wait(SOON)
    steps.stop = ticket.cancel
    yield steps
    steps.stop()
    steps.next.release()


def test_events_come_in_order_and_end(jobs):
    assert list(jobs.submit(work(1, 2, 3)).events()) == [1, 2, 3]
    assert jobs.submit(work(1, 2)).result() == 2
    assert jobs.submit(work()).result() is None


def test_none_is_no_event(jobs):
    assert list(jobs.submit(work(None, 1, None, 2)).events()) == [1, 2]


def test_jobs_run_one_after_the_other_in_the_order_of_submission(jobs, running):
    order: list[int] = []

    def note(number: int):
        def run() -> Iterator[None]:
            order.append(number)
            yield None

        return run

    tickets = [jobs.submit(note(k)) for k in range(3)]
    assert [ticket.position() for ticket in tickets] == [1, 2, 3]
    assert jobs.length == 4
    assert order == []
    running.stop()
    running.next.release()
    tickets[-1].result()
    assert order == [0, 1, 2]


def test_who_waits_is_told_the_position(jobs, running):
    first, second = jobs.submit(work("a")), jobs.submit(work("b"))
    events = second.events()
    assert next(events) == Waiting(2)
    first.cancel()
    assert next(events) == Waiting(1)
    assert second.position() == 1
    assert jobs.find(second.id) is second
    assert jobs.find(first.id) is None


def test_a_cancelled_job_frees_the_worker_after_its_present_step(jobs):
    steps = Steps()
    ticket, after = jobs.submit(steps), jobs.submit(work("after"))
    steps.next.release()
    events = ticket.events()
    assert next(events) == 1
    ticket.cancel()
    steps.next.release()
    assert steps.closed.wait(SOON)
    assert steps.done == 2
    assert list(events) == [Cancelled()]
    assert after.result() == "after"


def test_a_waiting_job_that_is_cancelled_never_starts(jobs, running):
    steps = Steps()
    ticket = jobs.submit(steps)
    ticket.cancel()
    assert ticket.result() == Cancelled()
    assert not steps.begun.is_set()


def test_a_job_that_ended_cannot_be_cancelled(jobs):
    ticket = jobs.submit(work("all"))
    assert ticket.result() == "all"
    ticket.cancel()
    assert ticket.ended
    assert ticket.poll() == []


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (UsageError("two\nlines"), Failed("two lines")),
        (CheckpointError("damaged"), Failed("damaged", by_server=True)),
        (ZeroDivisionError("secret"), Failed(BUG, by_server=True)),
        (
            OSError(28, "No space left on device", "/secret"),
            Failed("the server cannot read or write a file: No space left on device", True),
        ),
    ],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_a_crash_ends_its_job_in_words_and_leaves_the_worker(jobs, error, expected, at_once):
    def crash() -> Iterator[int]:
        yield 1
        raise error

    def crash_at_once() -> Iterator[int]:
        raise error

    ticket = jobs.submit(crash_at_once if at_once else crash)
    assert list(ticket.events())[-1] == expected
    assert jobs.submit(work("fine")).result() == "fine"


def test_a_crash_while_a_job_is_stopped_leaves_the_worker(jobs):
    def stubborn() -> Iterator[int]:
        try:
            while True:
                time.sleep(0.001)
                yield 1
        finally:
            raise RuntimeError

    ticket = jobs.submit(stubborn)
    assert next(ticket.events()) == 1
    ticket.cancel()
    assert jobs.submit(work("fine")).result() == "fine"


def test_the_queue_is_bounded(jobs, running):
    tickets = [jobs.submit(work()) for _ in range(3)]
    with pytest.raises(QueueFullError, match="3 requests wait already"):
        jobs.submit(work())
    tickets[0].cancel()
    assert jobs.submit(work()).position() == 3


class Progress(Transient):
    def __init__(self, done: int) -> None:
        self.done = done


def test_a_slow_reader_gets_the_newest_of_transient_events_and_all_others(jobs):
    events = [Progress(1), Progress(2), "half", Progress(3), Progress(4), "all"]
    ticket = jobs.submit(work(*events))
    while not ticket.ended:
        time.sleep(0.001)
    assert ticket.poll() == [events[1], "half", events[4], "all"]


def test_a_listener_is_called_for_each_change(jobs):
    ticket, called = jobs.submit(work()), threading.Semaphore(0)
    ticket.result()
    ticket.listen(called.release)
    assert called.acquire(timeout=SOON)
    steps = Steps()
    ticket = jobs.submit(steps)
    ticket.listen(called.release)
    assert called.acquire(timeout=SOON)
    steps.next.release()
    assert called.acquire(timeout=SOON)
    ticket.cancel()
    steps.next.release()


def test_the_end_cancels_all(jobs, running):
    ticket = jobs.submit(work())
    running.next.release(2)
    jobs.close()
    assert ticket.result() == Cancelled()
    assert running.closed.is_set()


def test_nothing_is_accepted_after_the_end(jobs):
    jobs.close()
    with pytest.raises(UsageError, match="about to end"):
        jobs.submit(work())


def test_ids_cannot_be_guessed_from_each_other(jobs):
    ids = {jobs.submit(work()).id for _ in range(3)}
    assert len(ids) == 3
    assert all(len(each) == 32 for each in ids)
