"""Trainings that a signal meets outside their steps: what was saved and cached stays, and the same
command goes on from there.

    data, caches, networks, the first evaluation, an export ── signal ──► exit code 75
    a run that is stopped already, on its way out ── signal ──► what it was about to say
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from textdiff.config import Settings
from textdiff.errors import StoppedBySignalError
from textdiff.stopping import Interrupted

SettingsT = TypeVar("SettingsT", bound=Settings)


def continuable(run: Callable[[SettingsT], None]) -> Callable[[SettingsT], None]:
    """A training's command that, interrupted, raises StoppedBySignalError; not in a dry run or a
    check, of which nothing is kept."""

    @functools.wraps(run)
    def wrapped(settings: SettingsT) -> None:
        if any(getattr(settings, name, None) for name in ("check", "dry_run")):
            run(settings)
            return
        with stopped_by_signals():
            run(settings)

    return wrapped


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Turns Interrupted into StoppedBySignalError, the one that it met on its way if there is
    one."""
    try:
        yield
    except Interrupted as signal:
        stopped = _met(signal)
        if stopped is None:
            stopped = StoppedBySignalError(
                f"stopped by {signal} outside a step; checkpoints and caches are as they were: run "
                "the same command again to continue"
            )
        raise stopped from None


def _met(signal: BaseException) -> StoppedBySignalError | None:
    """What was being raised when the signal came."""
    error = signal.__context__
    while error is not None and not isinstance(error, StoppedBySignalError):
        error = error.__context__
    return error
