"""A signal ends a command as an error would: what was staged goes, and so do locks."""

from __future__ import annotations

import signal
import threading

import pytest

from textdiff import stopping
from textdiff.files import replacing
from textdiff.locks import locked
from textdiff.stopping import STOP_SIGNALS, Interrupted, handled, interrupt, interruptible


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_each_of_them_interrupts_and_has_its_exit_code(number):
    previous = signal.getsignal(number)
    with pytest.raises(Interrupted, match=number.name) as caught, interruptible():
        signal.raise_signal(number)
    assert caught.value.exit_code == 128 + number
    assert signal.getsignal(number) == previous


def test_what_was_begun_goes(tmp_path):
    with (
        pytest.raises(Interrupted),
        interruptible(),
        locked(tmp_path / "lock"),
        replacing(tmp_path / "picture.png") as temporary,
    ):
        temporary.write_text("half of it")
        signal.raise_signal(signal.SIGTERM)
    assert list(tmp_path.iterdir()) == []


def test_no_handler_of_errors_takes_it_for_one():
    with pytest.raises(Interrupted), interruptible():
        try:
            signal.raise_signal(signal.SIGTERM)
        except Exception:
            pytest.fail("it is no Exception")


def test_one_request_may_come_twice_while_all_is_put_in_order():
    """`timeout` signals its child and then the group that the child is in."""
    order = []
    with pytest.raises(Interrupted), interruptible():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGHUP)
            order.append("put in order")
    assert order == ["put in order"]


def test_impatience_ends_it(monkeypatch):
    monkeypatch.setattr(stopping, "ONE_REQUEST", 0.0)
    with pytest.raises(KeyboardInterrupt), interruptible():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGINT)


def test_a_handler_that_python_did_not_set_is_no_trouble(monkeypatch):
    """`getsignal` says None of such, which `signal` does not take."""
    previous = signal.getsignal(signal.SIGUSR1)
    with monkeypatch.context() as patch:
        patch.setattr(signal, "getsignal", lambda _number: None)
        with pytest.raises(Interrupted), interruptible():
            signal.raise_signal(signal.SIGUSR1)
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL
    for number in STOP_SIGNALS:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else previous)


def test_a_thread_that_is_not_the_main_one_has_no_handlers():
    raised = []

    def work() -> None:
        with interruptible():
            raised.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert raised == [signal.getsignal(signal.SIGTERM)]


def test_another_thread_can_interrupt_where_a_signal_would():
    assert not interrupt()
    with handled(lambda _number: None, lambda: False):
        assert not interrupt()
    with pytest.raises(Interrupted), interruptible():
        thread = threading.Thread(target=interrupt)
        thread.start()
        thread.join(timeout=10)
        threading.Event().wait(10)
